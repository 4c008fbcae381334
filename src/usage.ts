import { settings } from './config.ts'

/** What `help` prints: the verbs, and every variable with its default. */
export function usage(): string {
  return `configuration-service [verb]

Verbs
  serve                serves until SIGTERM or SIGINT (the default)
  migrate expand       prepares the store for this build; before a new build starts to serve, and as often as you like
  migrate status       tells formats, replicas and who blocks
  migrate to <format>  takes every project to a format, up or down
  verify               reads everything back, and says what is not as it has to be
  accept-restore       lets a project go on whose log lost entries in the bucket
  import               brings a repository in as a project, with its whole history
  export               writes a project as a bare repository
  help                 prints this
  version              prints the version

Flags of migrate
  --json                 one line of JSON on stdout
  --dry-run              (expand, to) only says what would be done
  --forget <replica>     (to) a replica that was killed and is gone for good; may be repeated
  --accept-irreversible  (to) goes where there is no way back from
  --rate <n>             (to) conversions a second, 20 unless told
  --wait <seconds>       (to) waits so long for replicas that cannot handle the format, 0 unless told

Flags of verify
  --project <name>       only this project
  --repair-checkpoints   makes damaged checkpoints again of the log, or removes them
  --json                 one line of JSON on stdout

  It exits with 0 all is well, 1 something is not, 2 failed.

Flags of accept-restore
  --project <name>       which project
  --json                 one line of JSON on stdout
  --dry-run              only says what is there, and what would become of it

  It and migrate exit with 0 done, 1 more to do, 2 failed, 3 refused; to run them again is always right.

Flags of import and export
  --project <name>          one project
  --all                     (import) every repository and bundle in the folder, named as its project; (export) every project
  --from <path>             (import) a bare repository, a clone, a Keptn volume's folder of a project, or a bundle
  --to <folder>             (export) absent or empty; with --all a folder for <project>.git
  --update                  (import) brings what is new to a project that was imported before, where nobody wrote to it since
  --default-branch <name>   (import) the project's own branch, where it cannot be told
  --remote <name>           (import) takes the branches as this remote had them
  --no-tags                 (import) leaves out tags
  --any-layout              (import) takes what is no project of Keptn
  --dry-run                 (import) does everything but write
  --json                    one line of JSON on stdout

  They exit with 0 done, 1 some of all are not done, 2 failed, 3 refused. import needs the program git.

Variables (those marked * may be given as the path of a file, <VARIABLE>_FILE)
${Object.values<Row>(settings).map(row).join('')}`
}

interface Row {
  variable: string
  formerly?: string
  default?: string
  unit: string
  help: string
  secret?: string
}

function row(setting: Row): string {
  const before = setting.formerly === undefined ? '' : ` (formerly ${setting.formerly})`
  const name = `${setting.variable}${setting.secret ? ' *' : ''}${before}`
  const unset = setting.default === undefined || setting.default === ''
  return `  ${name}\n      ${setting.help}\n      ${setting.unit}; ${unset ? 'unset' : `default ${setting.default}`}\n`
}
