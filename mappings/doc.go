// Package mappings turns canonical orders, payments and settlements into the documents of gateways and ERPs, by rules in YAML
// files that a site can extend with an overlay directory. Everything that can be wrong with a file is found when it is loaded; applying
// a mapping reads no clock, no environment and no network, so the same input gives the same document. docs/mappings.md
// describes the files.
package mappings
