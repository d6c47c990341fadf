// One POST with Node's https module; a second argument chooses the agent: global (default), own or none.
import https from 'node:https';
import { Agent } from 'node:https';

const agent = { global: undefined, own: new Agent({ keepAlive: true }), none: false }[process.argv[3] ?? 'global'];
const headers = { 'Content-Type': 'application/json' };
const request = https.request(process.argv[2], { method: 'POST', agent, headers }, async (answer) => {
  const chunks = await answer.toArray();
  console.log(JSON.stringify(JSON.parse(Buffer.concat(chunks))));
  if (agent) agent.destroy();
});
request.end(JSON.stringify({ amount: 4900 }));
