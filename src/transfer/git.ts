/**
 * Stock git as a child process. Nothing that it is told passes a shell, it reads no settings but those below, and it only ever runs in
 * repositories that were made here: what a foreign repository has of settings, hooks, alternates or caches is never looked at.
 */
import { spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface Git {
  /**
   * Runs a command of git in a repository.
   * @param options.input for its stdin
   * @param options.onProgress told of how far it is, as it says on stderr
   * @returns what it wrote, stderr without progress
   * @throws GitError where it ends with anything else than 0, is killed, or is not installed
   */
  run(folder: string, words: readonly string[], options?: RunOptions): Promise<Ran>
  /** Makes an empty bare repository. */
  init(folder: string): Promise<void>
}

export interface RunOptions {
  input?: string
  onProgress?: (done: number, total: number) => void
  /** Told of stdout as it comes; it is not kept then. */
  onOutput?: (chunk: Buffer) => void
}

export interface Ran {
  output: Buffer
  /** Warnings, one a line. */
  said: string
}

/** A command of git that failed; the message says what git said. */
export class GitError extends Error {
  readonly exitCode: number | null
  readonly said: string

  constructor(message: string, exitCode: number | null, said: string) {
    super(message)
    this.exitCode = exitCode
    this.said = said
  }
}

/**
 * Memory within bounds, whatever the history; no files of a foreign repository that could lie about its objects; nothing that
 * runs anything else. The 16 MiB are the size from which on a pack is not fetched whole.
 */
const settings = `[core]
	bigFileThreshold = 16m
	packedGitWindowSize = 1m
	packedGitLimit = 96m
	deltaBaseCacheLimit = 32m
	commitGraph = false
	multiPackIndex = false
	fsmonitor = false
	hooksPath = /dev/null
[pack]
	threads = 1
	windowMemory = 32m
	deltaCacheSize = 16m
	useBitmaps = false
	writeReverseIndex = false
[gc]
	auto = 0
[maintenance]
	auto = false
[protocol]
	allow = never
[safe]
	directory = *
`

const keptSaidChars = 16_384

/**
 * @param home an empty folder for its settings
 * @param signal kills what runs
 */
export async function openGit(home: string, signal: AbortSignal): Promise<Git> {
  await mkdir(home, { recursive: true })
  const global = join(home, 'gitconfig')
  await writeFile(global, settings)
  const env = {
    PATH: process.env.PATH ?? '',
    HOME: home,
    LC_ALL: 'C',
    GIT_CONFIG_GLOBAL: global,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_ALLOW_PROTOCOL: 'none',
    GIT_NO_LAZY_FETCH: '1',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_TERMINAL_PROMPT: '0',
  }

  const run: Git['run'] = (folder, words, { input = '', onProgress, onOutput } = {}) =>
    new Promise((resolve, reject) => {
      const args = [`--git-dir=${folder}`, ...words]
      const child = spawn('git', args, { env, cwd: folder, signal, killSignal: 'SIGKILL' })
      const output: Buffer[] = []
      let said = ''
      child.stdout.on('data', (chunk: Buffer) => {
        if (onOutput === undefined) output.push(chunk)
        else onOutput(chunk)
      })
      child.stderr.on('data', (chunk: Buffer) => {
        const text = chunk.toString()
        const [, done, total] = /.*\((\d+)\/(\d+)\)/s.exec(text) ?? []
        if (done !== undefined) onProgress?.(Number(done), Number(total))
        said = (said + text).slice(-keptSaidChars)
      })
      child.on('error', (error: NodeJS.ErrnoException) => {
        const sentence =
          error.code === 'ENOENT' ? 'git is not installed: import needs it' : error.message
        reject(new GitError(sentence, null, ''))
      })
      child.on('close', (code) => {
        const warnings = withoutProgress(said)
        if (code === 0) return resolve({ output: Buffer.concat(output), said: warnings })
        const sentence = `git ${words[0]} failed: ${warnings || `it ended with ${code}`}`
        reject(new GitError(sentence, code, warnings))
      })
      // A child that ends early closes its stdin; its exit code tells what was the matter.
      child.stdin.on('error', () => {})
      child.stdin.end(input)
    })

  return {
    run,
    async init(folder) {
      await mkdir(join(folder, 'objects', 'pack'), { recursive: true })
      await mkdir(join(folder, 'refs'), { recursive: true })
      await writeFile(join(folder, 'HEAD'), 'ref: refs/heads/main\n')
      await writeFile(join(folder, 'config'), bareConfig)
    },
  }
}

/** The settings of a bare repository, as `git init` writes them. */
export const bareConfig =
  '[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n'

function withoutProgress(text: string): string {
  return text
    .split(/[\r\n]+/)
    .filter((line) => line !== '' && !/^(?:\S+ )+objects: |^Checking |^Total \d/.test(line))
    .join('\n')
}
