/**
 * `npm run bench`: measures this build and prints a table. Each figure with a target says whether it meets it; none fails
 * the run, for timings depend on the machine.
 */
import { withChromium } from './browser/chromium';
import { opfsLines } from './browser/opfs';
import { pageStartLine } from './browser/page-start';
import { makeImages } from './images';
import { inflateLines } from './node/inflate';
import { nodeReadLines } from './node/reads';
import { sizeLine } from './node/size';
import { type Line, machine, table } from './report';

const lines: Line[] = [];
let browser = '';
const images = makeImages();
try {
  await withChromium(async (context) => {
    browser = `Chromium ${context.browser()?.version() ?? ''}`.trim();
    lines.push(...(await opfsLines(context, images)), await pageStartLine(context));
  });
  lines.push(sizeLine(), ...(await inflateLines()), ...(await nodeReadLines(images)));
} finally {
  images.remove();
}
console.log(`${machine(browser)}\n\n${table(lines)}`);
