package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/keyring"
	"github.com/tenderline/tenderline/internal/settlement"
	reports "github.com/tenderline/tenderline/internal/settlement/report"
	"github.com/tenderline/tenderline/mappings"
)

const (
	settledDate  = "2026-07-28"
	settledFile  = "PaymentBatchDetailReport_Daily"
	benchAccount = "demo_mid"
)

// settlementResult is what a settlement day of so many rows costs: pairs of the least that reading it could cost and of the whole step.
type settlementResult struct {
	rows              int
	standard, day     []load
	written           load    // the step that writes down what the day takes, too; none where that was not measured
	standardMB, dayMB float64 // most memory held
}

// settlementDays measures days of several sizes. It runs before anything else does, so that the memory is the step's own.
func settlementDays(ctx context.Context, o options, dir string, progress io.Writer) ([]settlementResult, error) {
	var results []settlementResult
	for _, rows := range o.settlementRows {
		result, err := settlementDay(ctx, o, rows, dir)
		if err != nil {
			return nil, fmt.Errorf("settlement day of %d rows: %w", rows, err)
		}
		_, _ = fmt.Fprintf(progress, "settlement day of %d rows: %.0f rows per second, %.0f MB\n", rows, median(rates(result.day)), result.dayMB)
		results = append(results, result)
	}
	return results, nil
}

func settlementDay(ctx context.Context, o options, rows int, dir string) (settlementResult, error) {
	result := settlementResult{rows: rows}
	dir, err := os.MkdirTemp(dir, "settlement")
	if err != nil {
		return result, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file, database := filepath.Join(dir, "batch.csv"), filepath.Join(dir, "journal.db")
	if err := writeBatchFile(file, rows); err != nil {
		return result, err
	}
	store, err := journal.Open(ctx, "sqlite:"+database, journal.Options{Keyring: benchKeys(), Migrate: true})
	if err != nil {
		return result, err
	}
	defer func() { _ = store.Close() }()
	writes := rows <= o.settlementWrites
	if err := fillJournal(ctx, database, rows, writes); err != nil {
		return result, err
	}
	steps, err := settlementSteps(store, file, dir)
	if err != nil {
		return result, err
	}
	if err := errors.Join(readStandard(ctx, file, database, rows), reconcile(steps, rows, true)); err != nil { // warms caches; not counted
		return result, err
	}
	for range o.settlementRounds {
		took, most, err := measured(func() error { return readStandard(ctx, file, database, rows) })
		if err != nil {
			return result, err
		}
		result.standard, result.standardMB = append(result.standard, load{count: rows, took: took}), max(result.standardMB, most)
		took, most, err = measured(func() error { return reconcile(steps, rows, true) })
		if err != nil {
			return result, err
		}
		result.day, result.dayMB = append(result.day, load{count: rows, took: took}), max(result.dayMB, most)
	}
	if writes {
		took, most, err := measured(func() error { return reconcile(steps, rows, false) })
		if err != nil {
			return result, err
		}
		result.written, result.dayMB = load{count: rows, took: took}, max(result.dayMB, most)
	}
	return result, nil
}

// settlementSteps are the steps of settlement days over the file and the journal.
func settlementSteps(store *journal.Store, file, dir string) (*activities.Settlements, error) {
	set, err := mappings.Load(mappings.Options{})
	if err != nil {
		return nil, err
	}
	return &activities.Settlements{
		Journal: store, Mappings: set, Reports: fileReports{file}, Dir: dir, Clock: time.Now,
		Wanted: []activities.WantedReport{{Name: settledFile, Kind: reports.PaymentBatches, Format: reports.CSV, Needed: true}},
	}, nil
}

// reconcile runs the step as a worker does: downloaded, parsed, matched, rolled up and mapped. A dry run writes the report alone.
func reconcile(steps *activities.Settlements, rows int, dry bool) error {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(steps)
	value, err := env.ExecuteActivity(steps.ReconcileDay, activities.ReconcileDayInput{
		Merchant: benchAccount, Date: settledDate, Erp: "syspro", DryRun: dry,
		Policy: activities.SettlementPolicy{
			Mismatch: settlement.PolicyPark, Tolerance: map[string]decimal.Decimal{}, Fees: settlement.FeesInJournal, Mode: settlement.ModeDetail,
			GroupBy: []string{settlement.ByCardType}, TimeZone: "UTC", Cutoff: "24:00", Patience: time.Hour,
		},
	})
	if err != nil {
		return err
	}
	var day activities.ReconciledDay
	if err := value.Get(&day); err != nil {
		return err
	}
	if day.Matched != rows || day.Differences != 0 || len(day.Plans) != 1 {
		return fmt.Errorf("%d of %d rows matched, %d differences, %d journals", day.Matched, rows, day.Differences, len(day.Plans))
	}
	return nil
}

// fileReports is a gateway whose batch report is a file on the disk: what a network would cost says nothing about us.
type fileReports struct{ file string }

// ListReports names the day's file.
func (f fileReports) ListReports(context.Context, time.Time, time.Time, string) ([]cybersource.ReportEntry, error) {
	day, err := time.Parse(time.DateOnly, settledDate)
	if err != nil {
		return nil, err
	}
	end := day.AddDate(0, 0, 1)
	return []cybersource.ReportEntry{{
		Name: settledFile, Format: cybersource.ReportCSV, Status: cybersource.ReportCompleted, Start: day, End: end, Date: end.Format(time.DateOnly),
	}}, nil
}

// DownloadReport copies it, and sums it as the client does.
func (f fileReports) DownloadReport(_ context.Context, _, _ string, _ cybersource.ReportFormat, into io.Writer) (cybersource.Download, error) {
	file, err := os.Open(f.file)
	if err != nil {
		return cybersource.Download{}, err
	}
	defer func() { _ = file.Close() }()
	sum := sha256.New()
	// Without its own ReadFrom, so that the bytes pass through memory as those of a network do.
	copied, err := io.Copy(struct{ io.Writer }{io.MultiWriter(into, sum)}, struct{ io.Reader }{file})
	return cybersource.Download{Status: cybersource.ReportCompleted, Bytes: copied, SHA256: hex.EncodeToString(sum.Sum(nil))}, err
}

// QueryReport knows nothing.
func (f fileReports) QueryReport(context.Context, cybersource.ReportQuery, func(io.Reader) error) (int, error) {
	return 0, nil
}

// readStandard is the least that reading the day could cost: encoding/csv over the file, and one ordered scan of the journal's rows.
func readStandard(ctx context.Context, file, database string, rows int) error {
	if err := readCSV(file, rows); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", database)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	scan, err := db.QueryContext(ctx, `SELECT operation_key, order_id, outside_id, reference, effect, moved, currency, taken_at, settled_on
		FROM operations WHERE settles AND settled_on = '' ORDER BY outside_id`)
	if err != nil {
		return err
	}
	defer func() { _ = scan.Close() }()
	var texts [8]string
	var at int64
	read := 0
	for ; scan.Next(); read++ {
		if err := scan.Scan(&texts[0], &texts[1], &texts[2], &texts[3], &texts[4], &texts[5], &texts[6], &at, &texts[7]); err != nil {
			return err
		}
	}
	if read != rows {
		return fmt.Errorf("the scan found %d of %d rows", read, rows)
	}
	return scan.Err()
}

func readCSV(name string, rows int) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	in := csv.NewReader(bufio.NewReaderSize(file, 64<<10))
	in.ReuseRecord, in.FieldsPerRecord = true, -1
	for read := -2; ; read++ { // two lines of header
		switch _, err := in.Read(); {
		case errors.Is(err, io.EOF) && read == rows:
			return nil
		case errors.Is(err, io.EOF):
			return fmt.Errorf("the file has %d of %d rows", read, rows)
		case err != nil:
			return err
		}
	}
}

// benchID is the transaction of row k.
func benchID(k int) string { return fmt.Sprintf("7%021d", k) }

// writeBatchFile writes a payment batch report, in an order that is not that of its ids.
func writeBatchFile(name string, rows int) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(file, 1<<20)
	_, _ = fmt.Fprint(out, "demo_mid,PaymentBatchDetailReport_Daily,PaymentBatchDetail,1.10,2026-07-28T00:00:00Z to 2026-07-29T00:00:00Z,,,,,,,\r\n"+
		"BatchID,MerchantID,BatchDate,RequestID,MerchantReferenceNumber,TransactionReferenceNumber,PaymentType,CurrencyCode,Amount,Application,Status,TransactionDate\r\n")
	cards := []string{"Visa", "Mastercard", "American Express", "Discover"}
	for i := range rows {
		k := i * 7919 % rows
		_, _ = fmt.Fprintf(out, "21265991580,demo_mid,2026-07-29T00:00:00Z,%s,B-%d,93211601,%s,USD,%d.%02d,\"ics_bill,ics_auth\",BATCHED,2026-07-28T09:33:55Z\r\n",
			benchID(k), k, cards[k%len(cards)], 10+k%90, k%100)
	}
	return errors.Join(out.Flush(), file.Close())
}

// fillJournal puts the rows' sales into the journal in bulk, with their payments and orders where they are to be written to.
func fillJournal(ctx context.Context, database string, rows int, writes bool) error {
	db, err := sql.Open("sqlite", database)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	at := time.Date(2026, 7, 28, 9, 33, 55, 0, time.UTC).UnixMicro()
	const numbers = `WITH RECURSIVE n (k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM n WHERE k + 1 < ?), r AS (SELECT k, 'B-' || k AS id,
		'7' || printf('%021d', k) AS outside, (10 + k % 90) || '.' || printf('%02d', k % 100) AS amount FROM n) `
	statements := []string{numbers + `INSERT INTO operations (operation_key, system, kind, effect, order_id, input_hash, reference, guard, amount, currency,
			request, state, outside_id, sends, first_sent_at, last_sent_at, created_at, updated_at, moved, taken_at, settles)
		SELECT 'order:' || id || ':sale:1', 'cybersource', 'sale', 'sale', id, '', id, '', amount, 'USD', x'', 'succeeded', outside, 1, ?2, ?2, ?2, ?2, amount, ?2, 1 FROM r`}
	if writes {
		statements = append(statements,
			numbers+`INSERT INTO payments (order_id, status, currency, capture_id, authorized, captured, created_at, updated_at)
				SELECT id, 'captured', 'USD', outside, amount, amount, ?2, ?2 FROM r`,
			numbers+`INSERT INTO orders (order_id, channel, body_hash, input, status, payment_status, reason, needs_attention, currency, total, erp,
					erp_order_number, erp_invoice, customer_code, gateway_id, progress_seq, received_at, started_at, updated_at)
				SELECT id, 'web-us', '', x'', 'confirmed', 'captured', '', 0, 'USD', amount, 'syspro', '', '', '', '', 1, ?2, ?2, ?2 FROM r`)
	}
	for _, pragma := range []string{"PRAGMA synchronous = OFF", "PRAGMA cache_size = -65536"} {
		if _, err := db.ExecContext(ctx, pragma); err != nil {
			return err
		}
	}
	for _, statement := range statements {
		if _, err := db.ExecContext(ctx, strings.Replace(statement, "?)", "?1)", 1), rows, at); err != nil {
			return err
		}
	}
	for _, last := range []string{"ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"} {
		if _, err := db.ExecContext(ctx, last); err != nil {
			return err
		}
	}
	return nil
}

func benchKeys() *keyring.Ring {
	ring, err := keyring.New("bench", map[string][]byte{"bench": bytes.Repeat([]byte{7}, keyring.KeySize)})
	if err != nil {
		panic(err) // a key of the right size is never refused
	}
	return ring
}

// measured times a piece of work, and finds the most memory that the process holds meanwhile, in MB.
func measured(work func() error) (took time.Duration, most float64, err error) {
	debug.FreeOSMemory()
	stop, done := make(chan struct{}), make(chan float64)
	go func() {
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		most := 0.0
		for {
			most = max(most, heldMemory())
			select {
			case <-ticker.C:
			case <-stop:
				done <- most
				return
			}
		}
	}()
	begun := time.Now()
	err = work()
	took = time.Since(begun)
	close(stop)
	return took, <-done, err
}

// heldMemory is the process's own memory in MB: with that of SQLite, which is not the runtime's, where the system tells it.
func heldMemory() float64 {
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		if _, rest, found := strings.Cut(string(status), "RssAnon:"); found {
			if kilobytes, err := strconv.ParseFloat(strings.Fields(rest)[0], 64); err == nil {
				return kilobytes / 1024
			}
		}
	}
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return float64(samples[0].Value.Uint64()-samples[1].Value.Uint64()) / (1 << 20)
}

// settlementTable writes the figures of settlement days as Markdown.
func settlementTable(line func(string, ...any), results []settlementResult) {
	if len(results) == 0 {
		return
	}
	line("\n| A settlement day | %s |", columns(results, func(r settlementResult) string { return fmt.Sprintf("%d rows", r.rows) }))
	line("|---|%s", strings.Repeat("---:|", len(results)))
	row := func(name string, cell func(settlementResult) string) {
		line("| %s | %s |", name, columns(results, cell))
	}
	row("**Time: download, parse and match / encoding/csv and one ordered scan**", func(r settlementResult) string {
		return "**" + spread(ratios(r.standard, r.day), 2) + "**"
	})
	row("**Most memory, MB**", func(r settlementResult) string { return fmt.Sprintf("**%.0f**", r.dayMB) })
	row("Rows per second", func(r settlementResult) string { return spread(rates(r.day), 0) })
	row("encoding/csv and one ordered scan, rows per second", func(r settlementResult) string { return spread(rates(r.standard), 0) })
	row("Their most memory, MB", func(r settlementResult) string { return fmt.Sprintf("%.0f", r.standardMB) })
	row("What the writes take besides, seconds; rows per second", func(r settlementResult) string {
		if r.written.count == 0 {
			return "not measured"
		}
		besides := max(0, r.written.took.Seconds()-float64(r.rows)/median(rates(r.day)))
		return fmt.Sprintf("%.1f; %.0f", besides, float64(r.rows)/max(besides, 0.001))
	})
}

func columns(results []settlementResult, cell func(settlementResult) string) string {
	cells := make([]string, len(results))
	for i, r := range results {
		cells[i] = cell(r)
	}
	return strings.Join(cells, " | ")
}
