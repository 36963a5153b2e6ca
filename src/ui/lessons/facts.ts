/** What the checks of lessons are answered from: the daemon of a page. */
import type { BareCommand, Client } from '../../client';
import type { Facts } from '../../lessons/check';

/** What is kept of events and lines at most: a lesson needs the last few. */
const KEPT = 500;

export class ClientFacts implements Facts {
  readonly events: { event: string; data?: unknown }[] = [];
  readonly entered: string[] = [];

  constructor(private readonly client: Client) {}

  /** Forgets what happened, as when a lesson is begun. */
  begin(): void {
    this.events.length = this.entered.length = 0;
  }

  happened(event: { event: string; data?: unknown }): void {
    this.events.push(event);
    if (this.events.length > KEPT) this.events.shift();
  }

  wasEntered(line: string): void {
    this.entered.push(line);
    if (this.entered.length > KEPT) this.entered.shift();
  }

  async query(command: string, args: Record<string, unknown> | undefined): Promise<unknown> {
    // The types of the arguments belong to the one command; the daemon judges them.
    const reply = await this.client.execute(command as BareCommand, args as undefined);
    return reply.return;
  }

  async run(line: string): Promise<{ code: number; stdout: string; stderr: string }> {
    let stdout = '';
    let stderr = '';
    const code = await this.client.runShell(line, {
      stdout: (text) => void (stdout += text),
      stderr: (text) => void (stderr += text),
      progress: () => undefined,
      readLine: async () => null,
    });
    return { code, stdout, stderr };
  }
}
