package settlement

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/settlement/report"
)

// Policy says what becomes of differences beyond the tolerance.
type Policy string

// The policies.
const (
	PolicyPark     Policy = "park"     // nothing is posted until a person decides
	PolicySuspense Policy = "suspense" // the difference is posted to the suspense account
)

// FeePolicy says how fees reach the ledger.
type FeePolicy string

// The policies for fees.
const (
	FeesInJournal FeePolicy = "journal" // a line of the settlement journal
	FeesAsInvoice FeePolicy = "invoice" // an AP invoice of the processor; the journal moves them to the clearing account of fees
)

// Config is what a day is worked on by. Date, Dir and Policy are needed.
type Config struct {
	Date       string   // settlement date, YYYY-MM-DD
	MerchantID string   // as the journal knows it
	Merchants  []string // gateway merchant ids whose rows are taken; none takes all
	Dir        string   // where rows are spooled that do not fit into memory; "" is the system's
	Memory     int      // bytes of rows held in memory at once; 0 is 16 MiB
	Cutoff     Cutoff
	GroupBy    []string                   // what keeps lines of one category apart, see Grouping; none adds all up
	Tolerance  map[string]decimal.Decimal // by currency, "*" for all others: what differences may add up to before they count; 0 where nothing is said
	Policy     Policy
	Fees       FeePolicy      // "" is FeesInJournal
	FeeKinds   bool           // fees by their kinds, where the report has them
	FundFees   bool           // fees and adjustments withheld from payouts count: only where no fee report comes
	Listed     int            // differences kept in the result for the page; 0 is 500
	Progress   func(rows int) // a sign of life, every ten thousand rows; nil for none
	// Cases is told of every chargeback and retrieval row as it is read, also of those that an earlier day has taken: who follows
	// them up knows a case by its number and action. Row.Defined does not outlive the call. nil for none.
	Cases func(row report.Row) error
}

const (
	defaultMemory = 16 << 20
	defaultListed = 500
	progressEvery = 10_000
)

// Day takes the reports of one settlement day in, and matches them. It is not safe for concurrent use.
type Day struct {
	config       Config
	currencies   currencies
	grouping     grouping
	transactions *spool // by request id
	entries      *spool // fees, disputes and payouts by their key
	references   [2]*spool
	sources      []report.Kind
	suppliers    map[report.Type]report.Kind
	books        []book // by currency
	stated       map[statedKey]*tally
	rows         int
	foreign      int
	buffer       []byte
	closed       bool
}

// book holds what is counted of one currency.
type book struct {
	reported, distinct, expected, posted []tally // by category
	differences                          tally   // signed
	unexplained                          tally   // their sizes
	batch                                string
	batches                              int
	lines                                map[lineKey]*tally
}

type lineKey struct {
	group    uint32
	category int
}

type statedKey struct {
	source   report.Kind
	class    report.SumClass
	currency int
}

// categories numbers the categories, in alphabetical order.
var categories = func() []canonical.SettlementCategory {
	list := make([]canonical.SettlementCategory, 0, len(ways))
	for category := range ways {
		list = append(list, category)
	}
	slices.Sort(list)
	return list
}()

func categoryIndex(c canonical.SettlementCategory) int {
	at, _ := slices.BinarySearch(categories, c)
	return at
}

// NewDay starts a day. Close has to be called.
func NewDay(config Config) (*Day, error) {
	if _, err := time.Parse(time.DateOnly, config.Date); err != nil {
		return nil, fmt.Errorf("settlement date has to be YYYY-MM-DD")
	}
	if config.Policy != PolicyPark && config.Policy != PolicySuspense {
		return nil, fmt.Errorf("settlement policy %q is neither park nor suspense", config.Policy)
	}
	switch config.Fees {
	case "":
		config.Fees = FeesInJournal
	case FeesInJournal, FeesAsInvoice:
	default:
		return nil, fmt.Errorf("fee policy %q is neither journal nor invoice", config.Fees)
	}
	if err := config.Cutoff.validate(); err != nil {
		return nil, err
	}
	grouping, err := newGrouping(config.GroupBy)
	if err != nil {
		return nil, err
	}
	if config.Memory <= 0 {
		config.Memory = defaultMemory
	}
	if config.Listed <= 0 {
		config.Listed = defaultListed
	}
	return &Day{
		config: config, grouping: grouping, stated: map[statedKey]*tally{}, suppliers: map[report.Type]report.Kind{},
		transactions: newSpool(config.Dir, config.Memory), entries: newSpool(config.Dir, config.Memory),
		references: [2]*spool{newSpool(config.Dir, config.Memory/2), newSpool(config.Dir, config.Memory/2)},
	}, nil
}

// Close removes the spooled rows.
func (d *Day) Close() error {
	d.closed = true
	return errors.Join(d.transactions.close(), d.entries.close(), d.references[0].close(), d.references[1].close())
}

// RowError is a row that the day can't take: one that needs somebody to look at the report, or at the settings.
type RowError struct {
	Kind report.Kind
	Line int
	Rule string // what was broken, never what stands there
}

// Error names the place and the rule.
func (e *RowError) Error() string { return fmt.Sprintf("%s, line %d: %s", e.Kind, e.Line, e.Rule) }

// refused is the rule that a row broke, until its place is known.
type refused string

func (r refused) Error() string { return string(r) }

// Add takes the rows of a report, where types are given only those. Rows of one type have to come from one kind of report: two that
// tell the same would count twice. The error is a *RowError where a row can't be taken, a *report.Error where the report can't be read.
func (d *Day) Add(ctx context.Context, r *report.Reader, types ...report.Type) error {
	if d.closed {
		return errors.New("add report: the day is closed")
	}
	source := d.source(r.Kind())
	for n := 1; ; n++ {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(types) > 0 && !slices.Contains(types, row.Type) {
			continue
		}
		if err := d.add(&row, source); err != nil {
			if rule := refused(""); errors.As(err, &rule) {
				return &RowError{Kind: r.Kind(), Line: row.Line, Rule: string(rule)}
			}
			return fmt.Errorf("add %s, line %d: %w", r.Kind(), row.Line, err)
		}
		if n%progressEvery == 0 {
			if err := d.progress(ctx); err != nil {
				return err
			}
		}
	}
}

func (d *Day) progress(ctx context.Context) error {
	if d.config.Progress != nil {
		d.config.Progress(d.rows)
	}
	return ctx.Err()
}

// source numbers a kind of report.
func (d *Day) source(kind report.Kind) int {
	if at := slices.Index(d.sources, kind); at >= 0 {
		return at
	}
	d.sources = append(d.sources, kind)
	return len(d.sources) - 1
}

// supplies tells kinds that give the same rows in another form.
func (d *Day) supplies(row *report.Row, kind report.Kind) error {
	if row.Type == report.Total {
		return nil // totals of several reports are checked each
	}
	if row.Type == report.Dispute && kind == report.RetrievalCases {
		return nil // beside the chargebacks' query, not in its place
	}
	first, known := d.suppliers[row.Type]
	if !known {
		d.suppliers[row.Type] = kind
		return nil
	}
	if first != kind {
		return refused(fmt.Sprintf("rows of type %s already come from %s", row.Type, first))
	}
	return nil
}

func (d *Day) add(row *report.Row, source int) error {
	if len(d.config.Merchants) > 0 && row.MerchantID != "" && !slices.Contains(d.config.Merchants, row.MerchantID) {
		d.foreign++
		return nil
	}
	if err := d.supplies(row, d.sources[source]); err != nil {
		return err
	}
	d.rows++
	if row.Type == report.Total {
		return d.state(row, source)
	}
	if row.Type == report.Dispute && d.config.Cases != nil {
		if err := d.config.Cases(*row); err != nil {
			return err
		}
	}
	kept := kept{line: row.Line, source: source, reference: row.Reference, request: row.RequestID, batch: row.BatchID}
	if !row.BatchDate.IsZero() {
		kept.batchDate = row.BatchDate.Unix()
	}
	var err error
	if kept.group, err = d.grouping.of(row); err != nil {
		return err
	}
	if row.Type == report.Transaction {
		return d.addTransaction(row, &kept)
	}
	for _, e := range entries(row, d.config.FeeKinds, d.config.FundFees) {
		if err := d.addAmount(&kept, e); err != nil {
			return err
		}
	}
	d.buffer = kept.encode(d.buffer[:0])
	return d.entries.add([]byte(entryKey(row, kept.moves())), d.buffer)
}

func (d *Day) addTransaction(row *report.Row, kept *kept) error {
	if err := d.addAmount(kept, entry{Categorize(row), row.Amount}); err != nil {
		return err
	}
	if row.Direction == report.Neither {
		return nil // counted: there is nothing to match
	}
	d.buffer = append(d.buffer[:0], row.RequestID...)
	key := len(d.buffer)
	d.buffer = kept.encode(d.buffer)
	return d.transactions.add(d.buffer[:key], d.buffer[key:])
}

func (d *Day) addAmount(kept *kept, e entry) error {
	units, currency, err := d.currencies.units(e.money)
	if err != nil {
		return refused(err.Error())
	}
	if kept.n == len(kept.amounts) {
		return refused("a row has too many amounts")
	}
	category := categoryIndex(e.category)
	kept.amounts[kept.n] = amount{category: category, currency: currency, units: units}
	kept.n++
	d.book(currency).reported[category].add(units)
	return nil
}

// book gives what is counted of a currency.
func (d *Day) book(currency int) *book {
	for len(d.books) <= currency {
		n := len(categories)
		d.books = append(d.books, book{
			reported: make([]tally, n), distinct: make([]tally, n), expected: make([]tally, n), posted: make([]tally, n), lines: map[lineKey]*tally{},
		})
	}
	return &d.books[currency]
}

// post adds an amount to the lines that the ledger gets.
func (d *Day) post(group uint32, category, currency int, units int64) {
	b := d.book(currency)
	b.posted[category].add(units)
	key := lineKey{group, category}
	line := b.lines[key]
	if line == nil {
		line = &tally{}
		b.lines[key] = line
	}
	line.add(units)
}

// differ notes a signed difference that somebody has to explain.
func (d *Day) differ(currency int, units int64) {
	b := d.book(currency)
	b.differences.add(units)
	if units < 0 {
		units = -units
	}
	b.unexplained.add(units)
}

// batch notes the batch of a row that is taken.
func (d *Day) batch(currency int, id string) {
	if b := d.book(currency); id != "" && id != b.batch {
		b.batch = id
		b.batches++
	}
}

// state takes a total that the gateway states.
func (d *Day) state(row *report.Row, source int) error {
	units, currency, err := d.currencies.units(row.Amount)
	if err != nil {
		return refused(err.Error())
	}
	key := statedKey{d.sources[source], row.Sum.Class, currency}
	sum := d.stated[key]
	if sum == nil {
		sum = &tally{}
		d.stated[key] = sum
	}
	sum.add(units)
	sum.count += row.Sum.Count - 1
	return nil
}

// entryKey tells a fee, dispute or payout from all others, over all days. A payout or dispute that was told before its money moved, or whose
// money comes back, is told under the same name once more, and is another row.
func entryKey(row *report.Row, moves bool) string {
	against := row.Type == report.Dispute && row.Direction == report.In || row.Type == report.Deposit && row.Direction == report.Out
	switch {
	case !moves:
		return rowName(row) + "/" + string(report.Neither)
	case against:
		return rowName(row) + "/" + string(row.Direction)
	default:
		return rowName(row)
	}
}

func rowName(row *report.Row) string {
	switch row.Type {
	case report.FeeCharge:
		billing := ""
		if row.Fee != nil {
			billing = row.Fee.BillingType
		}
		return strings.Join([]string{"fee", row.RequestID, billing, string(row.Direction), row.Amount.String()}, "/")
	case report.Dispute:
		return "dispute/" + row.Case.Key()
	default:
		return "payout/" + row.Funds.Key() + "/" + row.Amount.String()
	}
}

// kept is what is spooled of a row.
type kept struct {
	line, source int
	group        uint32
	batchDate    int64
	reference    string
	request      string
	batch        string
	n            int
	amounts      [6]amount
}

// amount is one amount of a row in minor units, never negative.
type amount struct {
	category, currency int
	units              int64
}

// moves tells whether money moves by any amount of the row.
func (k *kept) moves() bool {
	return slices.ContainsFunc(k.amounts[:k.n], func(a amount) bool { return WayOf(categories[a.category]) != Nowhere })
}

func (k *kept) encode(b []byte) []byte {
	for _, n := range [...]uint64{uint64(k.line), uint64(k.source), uint64(k.group), uint64(k.n)} {
		b = binary.AppendUvarint(b, n)
	}
	b = binary.AppendVarint(b, k.batchDate)
	for _, text := range [...]string{k.reference, k.request, k.batch} {
		b = binary.AppendUvarint(b, uint64(len(text)))
		b = append(b, text...)
	}
	for _, a := range k.amounts[:k.n] {
		b = binary.AppendUvarint(b, uint64(a.category))
		b = binary.AppendUvarint(b, uint64(a.currency))
		b = binary.AppendVarint(b, a.units)
	}
	return b
}

// decode reads what encode wrote. The batch is shared with the row before where it is the same.
func (k *kept) decode(b []byte) {
	next := func() uint64 {
		value, n := binary.Uvarint(b)
		b = b[n:]
		return value
	}
	signed := func() int64 {
		value, n := binary.Varint(b)
		b = b[n:]
		return value
	}
	text := func(before string) string {
		n := next()
		raw := b[:n]
		b = b[n:]
		if string(raw) == before {
			return before
		}
		return string(raw)
	}
	k.line, k.source, k.group, k.n = int(next()), int(next()), uint32(next()), int(next())
	k.batchDate = signed()
	k.reference, k.request, k.batch = text(""), text(""), text(k.batch)
	for i := range k.n {
		k.amounts[i] = amount{category: int(next()), currency: int(next()), units: signed()}
	}
}

func (k *kept) date() time.Time {
	if k.batchDate == 0 {
		return time.Time{}
	}
	return time.Unix(k.batchDate, 0).UTC()
}
