// A field `input.filter` hides those rows of the table after it that lack one of the words typed into it.
document.addEventListener("DOMContentLoaded", () => {
  for (const field of document.querySelectorAll("input.filter")) {
    const tables = [...document.querySelectorAll("article table")];
    const table = tables.find((one) => field.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING);
    const rows = [...table.tBodies[0].rows].map((row) => [row, row.textContent.toLowerCase()]);
    const count = document.createElement("output");
    field.after(count);
    const filter = () => {
      const words = field.value.toLowerCase().split(/\s+/);
      let shown = 0;
      for (const [row, text] of rows) {
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      count.textContent = `${shown} of ${rows.length}`;
    };
    field.addEventListener("input", filter);
    filter();
  }
});
