/** The page's entry: starts the worker first, so that the daemon comes up while the rest of the page is loaded. */
import { connect } from '../client';
import { startWorker } from './start-worker';

const client = connect(startWorker());
void client.start().catch(() => undefined);
void import('./app').then(({ run }) => run(client));
