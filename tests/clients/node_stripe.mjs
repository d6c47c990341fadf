// One charge with Stripe's package for Node, which makes an https.Agent of its own. Argument: the origin.
import { createRequire } from 'node:module';

const Stripe = createRequire(new URL('../node/package.json', import.meta.url))('stripe');
const origin = new URL(process.argv[2]);
const stripe = new Stripe('sk_test_client', {
  host: origin.hostname,
  port: origin.port || 443,
  protocol: origin.protocol.slice(0, -1),
  maxNetworkRetries: 0,
});
console.log(JSON.stringify(await stripe.paymentIntents.create({ amount: 4900, currency: 'usd' })));
