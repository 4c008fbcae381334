import { migrate, testShortGate } from './short.ts'

testShortGate('there and back again', {
  scenario: {
    name: 'there and back',
    title: 'every project is taken to format 2 and back, twice, while it is written to',
    begin: 'this',
    ends: { format: 1, reached: true },
    async play(stand) {
      const faults: string[] = []
      for (const words of ['to 2', 'to 1', 'to 2', 'to 1']) {
        faults.push(...(await migrate(stand, words, 0)))
      }
      return { faults }
    },
  },
  mode: 'A',
  // So that somebody writes while a project is converted.
  perSecond: 25,
})
