/** Reads a Dockerfile, as much of it as ours uses. @see https://docs.docker.com/reference/dockerfile/ */

export interface Stage {
  name: string | null
  base: string
  steps: Step[]
}

export interface Step {
  instruction: string
  flags: Map<string, string>
  /** What stands after the flags, as it is. */
  text: string
}

/** @throws Error for a line that is no instruction */
export function parseDockerfile(source: string): Stage[] {
  const stages: Stage[] = []
  const joined = source.replace(/^\s*#.*\n/gm, '').replace(/\\\n/g, ' ')
  for (const line of joined.split('\n').map((text) => text.trim())) {
    if (line === '') continue
    const match = /^([A-Z]+)\s+((?:--\S+\s+)*)(.*)$/.exec(line)
    if (!match) throw new Error(`not an instruction: ${line}`)
    const [, instruction = '', flagText = '', text = ''] = match
    if (instruction === 'FROM') {
      const [base = '', , name = null] = text.split(/\s+/)
      stages.push({ name, base, steps: [] })
      continue
    }
    const flags = new Map<string, string>()
    for (const flag of flagText.split(/\s+/).filter((word) => word !== '')) {
      const [name = '', value = ''] = flag.slice(2).split(/=(.*)/)
      flags.set(name, value)
    }
    stages.at(-1)?.steps.push({ instruction, flags, text })
  }
  return stages
}

/** The words of an instruction in exec form, a JSON list. @throws where it is in shell form */
export function execForm(text: string): string[] {
  const words: unknown = JSON.parse(text)
  if (!Array.isArray(words)) throw new Error(`not in exec form: ${text}`)
  return words.map(String)
}

/** `A=1 B=2` as an object. */
export function environmentOf(stage: Stage): Record<string, string> {
  const pairs = stage.steps
    .filter(({ instruction }) => instruction === 'ENV')
    .flatMap(({ text }) => text.split(/\s+/))
    .map((pair) => pair.split(/=(.*)/))
  return Object.fromEntries(pairs.map(([name = '', value = '']) => [name, value]))
}
