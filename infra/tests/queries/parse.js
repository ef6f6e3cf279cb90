// Parses queries with Microsoft's own parser of the query language, against tables with their columns.
// Standard input: {"tables": {name: {column: type}}, "queries": [text]}. Standard output: what is wrong with each, as sentences.
'use strict';

const fs = require('fs');

// The package puts the global `Kusto` there, in two parts.
const parser = '@kusto/language-service-next';
require(`${parser}/bridge.min.js`);
require(`${parser}/Kusto.Language.Bridge.min.js`);
const { GlobalState, KustoCode, Symbols } = Kusto.Language;

const { tables, queries } = JSON.parse(fs.readFileSync(0, 'utf8'));
const symbols = Object.entries(tables).map(([name, columns]) => {
  const schema = Object.entries(columns).map(([column, type]) => `${column}: ${type}`).join(', ');
  return Symbols.TableSymbol.From(`(${schema})`).WithName(name);
});
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor('workspace', symbols));

const findings = queries.map((query) => {
  const found = KustoCode.ParseAndAnalyze(query, globals).GetDiagnostics();
  return Array.from({ length: found.Count }, (_, index) => {
    const { Severity, Message, Start, Length } = found.getItem(index);
    return `${Severity}: ${Message} (${query.substr(Start, Length)})`;
  });
});
process.stdout.write(JSON.stringify(findings));
