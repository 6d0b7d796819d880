/**
 * Makes events of keys and pointers as tests need them; what is not given is up and unnamed.
 */
export function keyEvent(type: string, fields: Readonly<Record<string, unknown>>): Event {
  const event = new Event(type, { cancelable: true });
  const raised: unknown = fields["modifiers"] ?? [];
  const getModifierState = (name: string) => Array.isArray(raised) && raised.includes(name);
  const flags = { ctrlKey: false, shiftKey: false, altKey: false, metaKey: false };
  const nothing = { code: "", key: "", location: 0, repeat: false, isComposing: false };
  const all = { ...nothing, ...flags, getModifierState, ...fields };
  for (const [field, value] of Object.entries(all)) {
    if (field !== "type") Object.defineProperty(event, field, { value });
  }
  return event;
}
