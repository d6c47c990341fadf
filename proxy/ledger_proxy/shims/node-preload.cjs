// Runs first in every Node under `ledger run` (NODE_OPTIONS). Nothing of Ledger is needed here, and whatever goes
// wrong in here, the program runs on.
'use strict';

// A Node that honours proxy variables (NODE_USE_ENV_PROXY) does so for fetch and for the global agents. An agent
// that a program makes itself, such as `new https.Agent({ keepAlive: true })`, stays without a proxy unless it is
// given `proxyEnv`: that is what is added here, where the program chose no way of its own.

const MARK = 'LEDGER_NODE_WARNED'; // children and workers inherit it, so one line is printed for all of them
const METHODS = ['addRequest', 'createSocket', 'createConnection'];

function honoursProxyVariables(version) {
  const [major, minor] = version.split('.').map(Number);
  if (major === 22) return minor >= 21;
  if (major === 24) return minor >= 5;
  return major > 24;
}

function warnOnce(version) {
  if (process.env[MARK]) return;
  process.env[MARK] = '1';
  process.stderr.write(
    `ledger: Node ${version} ignores proxy variables: its requests do not go through Ledger. ` +
      'Use Node 22.21 or later, or 24.5 or later.\n',
  );
}

function withProxyEnv(options) {
  if (options === null || options === undefined) return { proxyEnv: process.env };
  const chosen = typeof options !== 'object' || 'proxyEnv' in options || options.createConnection || options.socketPath;
  return chosen ? options : { ...options, proxyEnv: process.env };
}

function teach(module) {
  const Original = module.Agent;
  // A subclass that connects in its own way (proxy-agent and the like) has made its choice.
  const connectsAsUsual = (made) => METHODS.every((name) => made?.[name] === Original.prototype[name]);
  const Agent = new Proxy(Original, {
    construct: (target, [options, ...rest], made) =>
      Reflect.construct(target, [connectsAsUsual(made.prototype) ? withProxyEnv(options) : options, ...rest], made),
    // Called without `new`, or as the base of an old-style class.
    apply: (target, self, [options, ...rest]) => {
      if (!(self instanceof target)) return new Agent(options);
      return Reflect.apply(target, self, [connectsAsUsual(self) ? withProxyEnv(options) : options, ...rest]);
    },
  });
  module.Agent = Agent;
  // `agent: false` makes `new globalAgent.constructor()`.
  Original.prototype.constructor = Agent;
}

try {
  const { node: version, bun, deno } = process.versions;
  if (bun === undefined && deno === undefined && process.env.NODE_USE_ENV_PROXY === '1') {
    if (honoursProxyVariables(version)) {
      teach(require('node:http'));
      teach(require('node:https'));
      require('node:module').syncBuiltinESMExports();
    } else {
      warnOnce(version);
    }
  }
} catch {
  // The program matters more than this file.
}
