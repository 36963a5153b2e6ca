/** The structure of images as data: headers, tables, what the file is used for, checks. Read-only. */
export { inspect, type Inspection } from './inspection';
export { InspectError, type InspectEnvironment } from './target';
