/**
 * `npm run bench`: measures this build and prints a table. Each figure with a target says whether it meets it; none fails
 * the run, for timings depend on the machine.
 */
import { startBrowser } from '../test/browser/browser';
import { inspectorLines } from './browser/inspector';
import { opfsJobLines } from './browser/jobs';
import { opfsLines } from './browser/opfs';
import { pageStartLine } from './browser/page-start';
import { type Images, makeImages } from './images';
import { checkLines } from './node/check';
import { snapshotLines } from './node/snapshots';
import { convertLines } from './node/convert';
import { imageLines } from './node/images';
import { inflateLines } from './node/inflate';
import { jobLines } from './node/jobs';
import { luksLines } from './node/luks';
import { nbdLines } from './node/nbd';
import { nodeReadLines } from './node/reads';
import { sizeLine } from './node/size';
import { type Line, machine, table } from './report';

/** What a browser is needed for, and the browser's version. */
async function browserLines(images: Images): Promise<[Line[], string]> {
  const browser = await startBrowser();
  try {
    const lines = [
      ...(await opfsLines(browser, images)),
      ...(await opfsJobLines(browser)),
      await pageStartLine(browser.context),
      ...(await inspectorLines(browser)),
    ];
    return [lines, `Chromium ${browser.context.browser()?.version() ?? 'of unknown version'}`];
  } finally {
    await browser.close();
  }
}

const images = makeImages();
try {
  const [lines, version] = await browserLines(images);
  lines.push(
    sizeLine(),
    ...(await inflateLines()),
    ...(await nodeReadLines(images)),
    ...(await convertLines()),
    ...(await checkLines()),
    ...(await snapshotLines()),
    ...(await imageLines()),
    ...(await jobLines()),
    ...(await luksLines()),
    ...(await nbdLines()),
  );
  console.log(`${machine(version)}\n\n${table(lines)}`);
} finally {
  images.remove();
}
