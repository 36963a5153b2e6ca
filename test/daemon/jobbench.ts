/** A table of jobs whose turns and clock are given by hand, for tests. */
import { JobTable } from '../../src/daemon/jobs/table';

export class Bench {
  /** What happened: `id status` for changes of the status, `id EVENT detail` for other events. */
  readonly log: string[] = [];
  /** Milliseconds; one passes whenever somebody looks, so that work takes time. */
  clock = 0;
  private readonly turns: (() => void)[] = [];
  readonly table = new JobTable({
    emit: (event, data) => void this.log.push(line(event, data)),
    now: () => this.clock++,
    throttled: () => 0,
    turn: () => new Promise((resolve) => this.turns.push(resolve)),
  });

  /** Lets everything run that waits for its turn, until nothing does. */
  async settle(rounds = 50): Promise<void> {
    for (let i = 0; i < rounds; i++) {
      for (const turn of this.turns.splice(0)) turn();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** What happened to one job since the last call. */
  statuses(id = 'j'): string {
    const list = this.log
      .filter((entry) => entry.startsWith(`${id} `))
      .map((entry) => entry.slice(id.length + 1));
    this.log.length = 0;
    return list.join(' ');
  }
}

function line(event: string, data: unknown): string {
  const { id, device, status, action, operation, error } = data as Readonly<Record<string, string>>;
  const details = [operation, action, error].filter((detail) => detail !== undefined);
  return [id ?? device ?? '', status ?? event, ...details].join(' ');
}
