// One POST by a client that knows HTTP/2, through the proxy that HTTPS_PROXY names; prints what came.
// Arguments: the URL, and the protocols it offers, the best first: h2,http/1.1 or h2 alone.
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import tls from 'node:tls';
import { text } from 'node:stream/consumers';

const url = new URL(process.argv[2]);
const offered = process.argv[3].split(',');
const proxy = new URL(process.env.HTTPS_PROXY);
const target = `${url.hostname}:${url.port || 443}`;
const body = JSON.stringify({ amount: 4900 });

const connect = http.request({ host: proxy.hostname, port: proxy.port, method: 'CONNECT', path: target, agent: false });
connect.end();
const [, socket] = await once(connect, 'connect');
const secure = tls.connect({ socket, servername: url.hostname, ALPNProtocols: offered });
await once(secure, 'secureConnect');
console.log(JSON.stringify({ spoken: secure.alpnProtocol, ...(await (offered.includes(secure.alpnProtocol) ? known() : blind())) }));
process.exit(0);

async function known() {
  return secure.alpnProtocol === 'h2' ? overHttp2() : overHttp1();
}

async function overHttp1() {
  const request = https.request(url, { method: 'POST', defaultPort: 443, createConnection: () => secure });
  request.end(body);
  const [answer] = await once(request, 'response');
  return { status: answer.statusCode, body: await text(answer) };
}

async function overHttp2() {
  const session = http2.connect(url, { createConnection: () => secure });
  const request = session.request({ ':method': 'POST', ':path': url.pathname });
  let trailers = {};
  request.on('trailers', (came) => (trailers = came));
  request.end(body);
  const [headers] = await once(request, 'response');
  return { status: headers[':status'], body: await text(request), trailers: { ...trailers } };
}

// It speaks HTTP/2 although nobody agreed to.
async function blind() {
  secure.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  return { answer: await text(secure) };
}
