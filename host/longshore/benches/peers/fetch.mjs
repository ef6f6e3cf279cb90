// Node's fetch with its own connections, which it keeps: URL, how many requests, and how many at a time. Prints what they took.
const [url, count, atATime] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];

async function ask(requests) {
  let left = requests;
  const one = async () => {
    while (left-- > 0) {
      const answer = await fetch(url);
      if (answer.status !== 200) throw new Error(`HTTP ${answer.status}`);
      await answer.text();
    }
  };
  await Promise.all(Array.from({ length: atATime }, one));
}

// It compiles what is hot first.
await ask(1000);
const [started, cpu] = [performance.now(), process.cpuUsage()];
await ask(count);
const seconds = (performance.now() - started) / 1000;
const { user, system } = process.cpuUsage(cpu);
console.log(JSON.stringify({ seconds, cpu_ms: (user + system) / 1000 }));
