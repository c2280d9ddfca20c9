// Package canonical holds the words of the business that every other package shares: orders, customers, money, payments
// and the documents of the ledger. It imports nothing of the project. Amounts are decimals, never floats, and
// marshal as JSON strings ("19.95"); times are RFC 3339 in UTC; countries and currencies are ISO codes.
// The expr tags give the expressions of mapping files the same names as the JSON documents.
package canonical
