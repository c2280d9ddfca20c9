// Package e2e holds the end-to-end tests: each starts the embedded stack, breaks it in one way, and holds the ledgers of gateway, ERP and
// shop against what the product promises. Nothing is mocked but the world outside.
package e2e
