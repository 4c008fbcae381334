/** What a scenario is, and what it says when it was played. */
import type { Excuse } from './excuses.ts'
import type { Mode } from './gateway.ts'
import type { Made } from './made.ts'
import type { BuildName, Stand } from './stand.ts'

export interface Scenario {
  /** `S1`. */
  name: string
  title: string
  /** Default 3. */
  replicas?: number
  /** Which build the fleet is of when the load begins, `previous` unless told. */
  begin?: BuildName
  /** How the gateway reaches the replicas, where that is what it is about. */
  mode?: Mode
  /** How many projects there are beside those of the load, default none. */
  projects?: number
  /** Where the cluster stands in the end; unless told in format 1, for which nobody asked. */
  ends?: Standing
  /** Does it. */
  play(stage: Stage): Promise<Played>
}

/** A stand with a fleet in service, under load. */
export interface Stage extends Stand {
  /** What was made before the load began. */
  readonly made: Made
  /** How many projects there are. */
  readonly projects: number
}

export interface Played {
  /** A sentence for whatever was not as it has to be, beside what the load sees. */
  faults: string[]
  /** Failures of the load that the scenario itself brings about. */
  excuses?: Excuse[]
  notes?: string[]
}

/** Where a cluster stands. */
export interface Standing {
  /** That of every project. */
  format: number
  /** Whether somebody asked for it and it was reached; else nobody asked, or it was withdrawn. */
  reached: boolean
  /** How many processes were killed, whose announcements may be left. */
  killed?: number
}

export const untouched: Standing = { format: 1, reached: false }
