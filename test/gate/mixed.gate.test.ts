import { migrate, testShortGate } from './short.ts'

testShortGate('a replica of this build beside two of the one before', {
  scenario: {
    name: 'mixed',
    title: 'one replica is of this build, and nobody takes the others their format',
    async play(stand) {
      await stand.fleet.replace(stand.build('this'))
      return { faults: await migrate(stand, 'to 2', 3) }
    },
  },
  mode: 'A',
})
