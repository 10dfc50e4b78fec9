// Server-sent events of a request that has a body, which EventSource cannot send.

/**
 * Each event with its name and what it says, as soon as it is whole.
 * @param {Response} answer
 * @returns {AsyncGenerator<{name: string, told: any}>}
 */
export async function* eventsOf(answer) {
  const reader = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += decoder.decode(value, { stream: true });
    const whole = text.split("\n\n");
    text = whole.pop() ?? "";
    for (const one of whole) {
      const [, name = "", data = "null"] = /^event: (\w+)\ndata: ([^]*)$/.exec(one) ?? [];
      if (name) yield { name, told: JSON.parse(data) };
    }
  }
}
