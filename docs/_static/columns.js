// In a lesson, the functions under `# PyTorch` and under `# Keras` stand side by side where there is room for both.
document.addEventListener("DOMContentLoaded", () => {
  const titles = ["# PyTorch", "# NumPy", "# TensorFlow", "# Keras"];

  // The nodes of a block in parts: one for each title with its functions, and what is before, between and after them.
  const split = (pre) => {
    const parts = [{ column: false, nodes: [] }];
    let begins = true; // of a line
    for (const node of pre.childNodes) {
      const text = node.textContent;
      const part = parts.at(-1);
      if (begins && titles.includes(text)) parts.push({ column: true, nodes: [] });
      else if (begins && part.column && /^[^\s#@]/.test(text) && !/^(def|class)/.test(text)) {
        if (/^\s*(def|class)\b/m.test(part.nodes.slice(1).map((one) => one.textContent).join("")))
          parts.push({ column: false, nodes: [] });
      }
      parts.at(-1).nodes.push(node);
      begins = text.endsWith("\n") || (begins && text === "");
    }
    return parts;
  };

  for (const pre of document.querySelectorAll(".highlight-Python pre")) {
    const parts = split(pre);
    const columns = parts.filter((part) => part.column);
    if (columns.length < 2) continue;
    const row = document.createElement("div");
    row.className = "columns";
    for (const part of columns) {
      const column = document.createElement("div");
      column.append(...part.nodes);
      row.append(column);
    }
    pre.prepend(...parts[0].nodes);
    parts[0].nodes.at(-1)?.after(row) ?? pre.prepend(row);
    if (!parts[0].nodes.length) pre.prepend(row);
  }
});
