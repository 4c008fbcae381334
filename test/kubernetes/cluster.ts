/** A Kubernetes as whoever has a kubeconfig sees it. */
import { type RunningProcess, startProcess } from '../support/processes.ts'
import { type Ran, run, tryRun } from '../support/run.ts'

export interface Cluster {
  /** What `helm` and `kubectl` need to find each other and the cluster. */
  readonly env: Record<string, string>
  /** @returns what it printed @throws where it fails */
  kubectl(...words: string[]): Promise<string>
  /** `kubectl get … --output=json`. */
  get<T>(...words: string[]): Promise<T>
  /** Runs lines of shell, as a user would, and stops at the first that fails. */
  shell(lines: string, cwd: string): Promise<Ran>
  /** A `kubectl` that goes on until it is killed. */
  watch(...words: string[]): RunningProcess
}

/** The cluster that `env.KUBECONFIG` names, by the `kubectl` that `env.PATH` leads to. */
export function clusterOf(env: Record<string, string>): Cluster {
  const kubectl = (...words: string[]) => run(['env', 'kubectl', ...words], { env })
  return {
    env,
    kubectl,
    get: async (...words) => JSON.parse(await kubectl('get', ...words, '--output=json')),
    shell: (lines, cwd) => tryRun(['bash', '-euc', lines], { env, cwd }),
    watch: (...words) => startProcess('env', ['kubectl', ...words], { env, keepChars: 50_000_000 }),
  }
}
