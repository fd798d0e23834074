/** Elements of the page. Texts from a store are set as text, never as markup. */

type Attributes = Record<string, string | number | boolean | undefined>;

/** Make an element with attributes and children; strings become text. */
export function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name, attributes: Attributes = {}, ...children: (Node | string)[]
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children);
  return made;
}

/** A labelled control. */
export function labelled(text: string, control: HTMLElement): HTMLLabelElement {
  return element("label", { class: "control" }, element("span", {}, text), control);
}

/** A choice of texts; the values are their positions. */
export function choice(texts: string[], selected = 0): HTMLSelectElement {
  const select = element("select");
  texts.forEach((text, i) => {
    const option = element("option", { value: i }, text);
    option.defaultSelected = i === selected; // what a reset of the form comes back to
    select.append(option);
  });
  return select;
}

export function svg(name: string, attributes: Attributes, ...children: Node[]): SVGElement {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...children);
  return made;
}

export function decibels(value: number): string {
  return Number.isFinite(value) ? `${value.toFixed(1)} dB` : value > 0 ? "exact" : "no PSNR";
}

/** Let the browser draw and react. */
export function nextFrame(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
