/**
 * Every route. Nothing else is served: the router is made from this table, and the document of the API describes each of its rows
 * (a test holds both to it).
 */
import type { Handler, Route } from './call.ts'
import { createFileReader } from './read-files.ts'
import { listFiles, listProjects, listServices, listStages, readHistory } from './read-lists.ts'
import { readArchive, readDiff } from './read-states.ts'
import { createCommits, restore, undeleteProject, undeleteStage } from './write-history.ts'
import {
  createProject,
  createService,
  createStage,
  deleteFile,
  deleteProject,
  deleteService,
  deleteStage,
  updateProject,
  writeFiles,
  writeOneFile,
} from './writes.ts'

const project = '/project/{projectName}'
const stage = `${project}/stage/{stageName}`
const service = `${stage}/service/{serviceName}`

/** Builds the routes of projects, stages, services and their files. */
export function createRoutes(): Route[] {
  const readFile = createFileReader()
  return [
    read('/project', 'getProjects', listProjects),
    admin('POST', '/project', 'createProject', createProject),
    admin('PUT', '/project', 'updateProject', updateProject),
    admin('PUT', project, 'updateProjectNamed', updateProject),
    admin('DELETE', project, 'deleteProject', deleteProject),
    admin('POST', `${project}/undelete`, 'undeleteProject', undeleteProject),
    read(`${project}/stage`, 'getStages', listStages),
    admin('POST', `${project}/stage`, 'createStage', createStage),
    admin('DELETE', stage, 'deleteStage', deleteStage),
    admin('POST', `${stage}/undelete`, 'undeleteStage', undeleteStage),
    read(`${stage}/service`, 'getServices', listServices),
    admin('POST', `${stage}/service`, 'createService', createService),
    admin('DELETE', service, 'deleteService', deleteService),
    write('POST', `${project}/commits`, 'createCommits', createCommits),
    ...filesOf(project, 'Project', readFile),
    ...filesOf(stage, 'Stage', readFile),
    ...filesOf(service, 'Service', readFile),
  ]
}

function filesOf(scope: string, level: string, readFile: Handler): Route[] {
  const files = `${scope}/resource`
  const file = `${files}/{resourceURI}`
  const readSome: Handler = (call, tools) =>
    call.match.resource === undefined ? listFiles(call, tools) : readFile(call, tools)
  return [
    read(files, `get${level}Resources`, readSome),
    write('POST', files, `create${level}Resources`, writeFiles),
    write('PUT', files, `update${level}Resources`, writeFiles),
    write('DELETE', files, `delete${level}ResourceNamed`, deleteFile),
    read(file, `get${level}Resource`, readFile),
    write('PUT', file, `update${level}Resource`, writeOneFile),
    write('DELETE', file, `delete${level}Resource`, deleteFile),
    read(`${scope}/history`, `get${level}History`, readHistory),
    read(`${scope}/archive`, `get${level}Archive`, readArchive),
    read(`${scope}/diff`, `get${level}Diff`, readDiff),
    write('POST', `${scope}/restore`, `restore${level}`, restore),
  ]
}

function read(pattern: string, id: string, handle: Handler): Route {
  return { method: 'GET', pattern, id, role: 'read', handle }
}

function write(method: Route['method'], pattern: string, id: string, handle: Handler): Route {
  return { method, pattern, id, role: 'write', handle }
}

function admin(method: Route['method'], pattern: string, id: string, handle: Handler): Route {
  return { method, pattern, id, role: 'admin', handle }
}
