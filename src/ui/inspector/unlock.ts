/** The box for the passphrase of an encrypted image. */
import type { Inspection } from '../../client';
import { button, h, setText } from '../dom';

/**
 * Asks for the passphrase of an image. It goes to the worker and is kept nowhere.
 * @param done called when the disk is open
 */
export function unlockForm(inspection: Inspection, done: () => void): HTMLElement {
  const input = h('input', {
    type: 'password',
    name: 'passphrase',
    autocomplete: 'off',
    spellcheck: 'false',
    required: true,
  });
  const submit = h('button', { type: 'submit', class: 'main' }, 'Unlock');
  const bar = h('progress', { max: '1', 'aria-label': 'Deriving the key', hidden: true });
  const failure = h('p', { class: 'problem', role: 'alert', hidden: true });
  let controller: AbortController | null = null;
  const cancel = button({ hidden: true }, () => controller?.abort(), 'Cancel');
  const form = h(
    'form',
    { class: 'unlock' },
    h(
      'p',
      {},
      'The disk is encrypted. With its passphrase it is shown here decrypted; nothing is written, and the passphrase is not kept.',
    ),
    h('div', { class: 'line' }, h('label', {}, 'Passphrase ', input), submit, bar, cancel),
    failure,
  );
  const busy = (working: boolean): void => {
    submit.disabled = input.disabled = working;
    bar.hidden = cancel.hidden = !working;
    bar.removeAttribute('value');
  };
  const unlock = async (): Promise<void> => {
    controller = new AbortController();
    failure.hidden = true;
    busy(true);
    try {
      await inspection.unlock(
        input.value,
        (past, total) => (bar.value = total > 0 ? past / total : 0),
        controller.signal,
      );
      input.value = '';
      done();
    } catch (error) {
      busy(false);
      failure.hidden = false;
      setText(failure, error instanceof Error ? error.message : String(error));
      input.focus();
      input.select();
    }
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void unlock();
  });
  return form;
}
