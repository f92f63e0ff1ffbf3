// A list that is brought up to date without being rebuilt: what stays, stays, with focus and all.

/** Show `items` in `list`. `keyOf(item)` tells them apart; `render(item)` makes a node, only for one
 * that is new or has changed. In a node that is made anew, focus goes to the same data-focus. */
export function keyed(list, items, keyOf, render) {
  const old = new Map([...list.children].map((node) => [node.dataset.key, node]));
  const active = document.activeElement;
  items.forEach((item, at) => {
    const key = String(keyOf(item));
    const print = JSON.stringify(item);
    let node = old.get(key);
    old.delete(key);
    if (!node || node.print !== print) {
      const fresh = render(item);
      fresh.dataset.key = key;
      fresh.print = print;
      const focused = node?.contains(active) ? active.dataset.focus : null;
      node?.replaceWith(fresh);
      if (focused) (fresh.dataset.focus === focused ? fresh : fresh.querySelector(`[data-focus="${focused}"]`))?.focus();
      node = fresh;
    }
    if (list.children[at] !== node) {
      // What is moved loses the focus.
      const focused = node.contains(document.activeElement) ? document.activeElement : null;
      list.insertBefore(node, list.children[at] ?? null);
      focused?.focus();
    }
  });
  for (const gone of old.values()) gone.remove();
}
