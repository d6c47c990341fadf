// One POST with Node's fetch.
const answer = await fetch(process.argv[2], {
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify({ amount: 4900 }),
});
if (!answer.ok) throw new Error(`status ${answer.status}`);
console.log(JSON.stringify(await answer.json()));
