// Package settlement is the arithmetic of a settlement day: it matches the rows of the gateway's reports to the journal's operations,
// rolls them up to what the general ledger is told, and names every difference. It reads streams and writes streams: memory does
// not grow with the day. It knows no database, no network and no clock.
//
//	day, err := settlement.NewDay(config)
//	defer day.Close()
//	for each report: err = day.Add(ctx, reader)
//	result, err := day.Match(ctx, journal, sink)
//	for each settlement of result.Settlements(): map, convert with Entry, post
package settlement
