// Reads the texts that stand in queries, and what they mean by Microsoft's own parser of the query language.
// Standard input: {"queries": [text]}. Standard output: the values of the texts of each.
'use strict';

const fs = require('fs');

// The package puts the global `Kusto` there, in two parts.
const parser = '@kusto/language-service-next';
require(`${parser}/bridge.min.js`);
require(`${parser}/Kusto.Language.Bridge.min.js`);
const { KustoFacts } = Kusto.Language;

const { queries } = JSON.parse(fs.readFileSync(0, 'utf8'));
const texts = queries.map((query) => (query.match(/'(?:[^'\\\n]|\\.)*'/g) || []).map((text) => KustoFacts.GetStringLiteralValue(text)));
process.stdout.write(JSON.stringify(texts));
