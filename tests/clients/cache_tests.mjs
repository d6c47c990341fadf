// The HTTP cache tests (cache-tests.fyi) against their own server at the URL given; prints what came of each.
import { createRequire } from 'node:module';

const require = createRequire(new URL('../node/package.json', import.meta.url));
const load = async (name) => import(require.resolve(name));
const { getResults, runTests } = await load('http-cache-tests/client/runner.mjs');
const { default: tests } = await load('http-cache-tests/tests/index.mjs');
const { default: surrogate } = await load('http-cache-tests/tests/surrogate-control.mjs');
const { default: fetch } = await load('node-fetch');

await runTests([...tests, surrogate], fetch, false, process.argv[2], 80);
console.log(JSON.stringify(getResults()));
