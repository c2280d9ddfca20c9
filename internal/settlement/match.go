package settlement

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/settlement/report"
)

// matcher is one run over a day's rows and the journal's operations.
type matcher struct {
	day         *Day
	ctx         context.Context //nolint:containedctx // a matcher lives as long as the call of Match
	journal     Journal
	sink        Sink
	states      map[State]int
	byReference int
	pending     int // operations that are not due yet
	total       int // differences
	listed      []Difference
	page        []pending
	steps       int
}

// pending is a row that waits to be looked up: one without an operation of its transaction id, or one whose operation was due before. Another
// day may have taken it.
type pending struct {
	id  string
	row kept
	op  *Operation // nil: it is not known yet
}

// Match merges the rows with the journal's operations: by transaction id, then by reference, amount and direction. It tells the
// sink of every difference and of every row that the day takes, and gives the totals. It may be called once.
func (d *Day) Match(ctx context.Context, journal Journal, sink Sink) (*Result, error) {
	m := &matcher{day: d, ctx: ctx, journal: journal, sink: sink, states: map[State]int{}}
	for _, step := range []func() error{m.byTransaction, m.byReferences, m.bookEntries, m.checkTotals} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("match settlement day %s: %w", d.config.Date, err)
		}
	}
	return m.result(), nil
}

// step gives the caller a sign of life and hears of its end.
func (m *matcher) step() error {
	m.steps++
	if m.steps%progressEvery != 0 {
		return nil
	}
	return m.day.progress(m.ctx)
}

// operations reads the journal's stream and holds it to its order.
type operations struct {
	stream Operations
	head   Operation
	ended  bool
	begun  bool
}

func (o *operations) advance() error {
	next, err := o.stream.Next()
	if errors.Is(err, io.EOF) {
		o.ended = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("read operations: %w", err)
	}
	switch before := o.head.TransactionID; {
	case !o.begun:
	case next.TransactionID < before:
		return errors.New("read operations: they are not ordered by transaction id")
	case next.TransactionID == before && before != "":
		return errors.New("read operations: two have the same transaction id")
	}
	o.begun, o.head = true, next
	return nil
}

// byTransaction is the merge by transaction id. Both sides come sorted; what finds no partner is spooled for the next pass.
func (m *matcher) byTransaction() error {
	stream, err := m.journal.Operations(m.ctx, m.day.config.MerchantID, m.day.config.Date)
	if err != nil {
		return fmt.Errorf("read operations: %w", err)
	}
	ops := &operations{stream: stream}
	if err := ops.advance(); err != nil {
		return err
	}
	rows, err := m.day.transactions.sorted()
	if err != nil {
		return err
	}
	g := &group{cursor: rows}
	for {
		more, err := g.next()
		if err != nil {
			return err
		}
		if !more {
			break
		}
		for !ops.ended && ops.head.TransactionID < g.id {
			if err := errors.Join(m.keepOperation(&ops.head), ops.advance()); err != nil {
				return err
			}
		}
		var op *Operation
		if !ops.ended && ops.head.TransactionID == g.id {
			op = &ops.head
		}
		if err := m.group(g, op); err != nil {
			return err
		}
		if op != nil {
			if err := ops.advance(); err != nil {
				return err
			}
		}
	}
	for !ops.ended {
		if err := errors.Join(m.keepOperation(&ops.head), ops.advance()); err != nil {
			return err
		}
	}
	return m.lookUp()
}

// group is the rows of one transaction id. There is no bound to how often a row is repeated, so they are streamed.
type group struct {
	cursor *cursor
	id     string
	row    kept
	ahead  kept
	key    string
	loaded bool // ahead holds the first row of the next group
	done   bool
}

// read loads the row ahead.
func (g *group) read() error {
	key, value, err := g.cursor.next()
	if errors.Is(err, io.EOF) {
		g.done, g.loaded = true, false
		return nil
	}
	if err != nil {
		return err
	}
	if string(key) != g.key {
		g.key = string(key)
	}
	g.ahead.decode(value)
	g.loaded = true
	return nil
}

// next begins the next group.
func (g *group) next() (bool, error) {
	if !g.loaded && !g.done {
		if err := g.read(); err != nil {
			return false, err
		}
	}
	if !g.loaded {
		return false, nil
	}
	g.id, g.row = g.key, g.ahead
	return true, g.read()
}

// repeated gives the next row of the same id.
func (g *group) repeated() bool { return g.loaded && g.key == g.id }

// group settles the rows of one id: the one that agrees with the operation is the row, all others are duplicates.
func (m *matcher) group(g *group, op *Operation) error {
	row := g.row
	for g.repeated() {
		duplicate := g.ahead
		if op != nil && !m.agrees(&row, op) && m.agrees(&duplicate, op) {
			row, duplicate = duplicate, row
		}
		if err := m.duplicate(g.id, &duplicate, op, ""); err != nil {
			return err
		}
		if err := g.read(); err != nil {
			return err
		}
	}
	if err := m.step(); err != nil {
		return err
	}
	m.day.book(row.amounts[0].currency).distinct[row.amounts[0].category].add(row.amounts[0].units)
	late := op != nil && op.SettledOn == "" && m.day.config.Cutoff.Due(op.At) < m.day.config.Date
	if op != nil && !late {
		return m.pair(g.id, &row, op, false)
	}
	waits := pending{id: g.id, row: row}
	if late {
		own := *op
		waits.op = &own
	}
	m.page = append(m.page, waits)
	if len(m.page) < pageSize {
		return nil
	}
	return m.lookUp()
}

// wayOf says which way an operation moves the money.
func wayOf(kind OperationKind) (Way, canonical.SettlementCategory, error) {
	switch kind {
	case Capture:
		return Income, canonical.SettlementSale, nil
	case Refund:
		return Expense, canonical.SettlementRefund, nil
	}
	return 0, "", fmt.Errorf("operations of kind %q do not settle", kind)
}

// agrees tells whether a row says just what its operation does.
func (m *matcher) agrees(row *kept, op *Operation) bool {
	units, currency, err := m.day.currencies.units(op.Amount)
	way, _, errWay := wayOf(op.Kind)
	a := row.amounts[0]
	return err == nil && errWay == nil && units == a.units && currency == a.currency && way == WayOf(categories[a.category])
}

// pair compares a row with its operation, and books what follows from it.
func (m *matcher) pair(id string, row *kept, op *Operation, byReference bool) error {
	day, a := m.day, row.amounts[0]
	if op.SettledOn != "" && op.SettledOn != day.config.Date {
		return m.duplicate(id, row, op, op.SettledOn)
	}
	units, currency, err := day.currencies.units(op.Amount)
	if err != nil {
		return fmt.Errorf("operation %s: %w", op.Key, err)
	}
	way, category, err := wayOf(op.Kind)
	if err != nil {
		return fmt.Errorf("operation %s: %w", op.Key, err)
	}
	own := categoryIndex(category)
	rowWay := int64(WayOf(categories[a.category]))
	due := day.config.Cutoff.Due(op.At)
	state := Matched
	switch {
	case currency != a.currency:
		state = CurrencyDiffers
	case way != Way(rowWay):
		state = DirectionDiffers
	case units != a.units:
		state = AmountDiffers
	case due < day.config.Date:
		state = Late
	}
	if state == CurrencyDiffers || state == DirectionDiffers {
		booked, err := m.bookedOn(rowKey(id))
		if err != nil {
			return err
		}
		if taken := booked[rowKey(id)]; taken != "" {
			return m.duplicate(id, row, op, taken)
		}
	}
	day.book(currency).expected[own].add(units)
	if byReference {
		m.byReference++
	}
	day.batch(a.currency, row.batch)
	switch state {
	case CurrencyDiffers, DirectionDiffers:
		day.differ(a.currency, rowWay*a.units)
	case AmountDiffers:
		day.post(row.group, own, currency, units)
		day.differ(currency, rowWay*(a.units-units))
	default:
		day.post(row.group, own, currency, units)
	}
	m.states[state]++
	if state != Matched {
		d := m.difference(state, id, row, op)
		d.DueOn = due
		if err := m.report(d); err != nil {
			return err
		}
	}
	if state == CurrencyDiffers || state == DirectionDiffers {
		return m.markRow(id, row) // the operation is not settled by this row: a person decides
	}
	err = m.sink.Mark(Mark{
		Operation: op.Key, OrderID: op.OrderID, TransactionID: id, Date: day.config.Date, BatchID: row.batch, BatchDate: row.date(), Category: category,
		Amount: day.currencies.money(a.units, a.currency),
	})
	if err != nil || !byReference {
		return err
	}
	return m.markRow(id, row) // no operation is found by its transaction
}

// rowKey is the entry of a row of which no operation could tell that it was taken: one that goes to the suspense account, or was matched by its
// reference.
func rowKey(id string) string { return "row/" + id }

// markRow has the journal remember such a row, so that it does not count again where another day's report shows it.
func (m *matcher) markRow(id string, row *kept) error {
	a := row.amounts[0]
	return m.sink.Mark(Mark{
		Entry: rowKey(id), TransactionID: id, Date: m.day.config.Date, BatchID: row.batch, BatchDate: row.date(), Category: categories[a.category],
		Amount: m.day.currencies.money(a.units, a.currency),
	})
}

// bookedOn asks the journal for entries, and leaves out those of this very day, which is worked on again.
func (m *matcher) bookedOn(entries ...string) (map[string]string, error) {
	booked, err := m.journal.Booked(m.ctx, entries)
	if err != nil {
		return nil, fmt.Errorf("find booked entries: %w", err)
	}
	others := make(map[string]string, len(booked))
	for entry, date := range booked {
		if date != m.day.config.Date {
			others[entry] = date
		}
	}
	return others, nil
}

// duplicate tells of a row that is not taken.
func (m *matcher) duplicate(id string, row *kept, op *Operation, settledOn string) error {
	m.states[Duplicate]++
	d := m.difference(Duplicate, id, row, op)
	d.SettledOn = settledOn
	return m.report(d)
}

// difference fills in what row and operation say; op may be nil.
func (m *matcher) difference(state State, id string, row *kept, op *Operation) Difference {
	a := row.amounts[0]
	d := Difference{
		State: state, Category: categories[a.category], Reported: m.day.currencies.money(a.units, a.currency), TransactionID: id, Reference: row.reference,
		BatchID: row.batch, Report: m.day.sources[row.source], Line: row.line,
	}
	if op != nil {
		d.Expected, d.OrderID, d.Operation = op.Amount, op.OrderID, op.Key
	}
	return d
}

func (m *matcher) report(d Difference) error {
	m.total++
	if len(m.listed) < m.day.config.Listed {
		m.listed = append(m.listed, d)
	}
	return m.sink.Difference(d)
}

// lookUp asks the journal for the rows of the page: their operations may have settled on another day, which the stream leaves out, and a row
// whose operation has not may stand in suspense on another day, from when it was not known.
func (m *matcher) lookUp() error {
	if len(m.page) == 0 {
		return nil
	}
	if err := m.find(); err != nil {
		return err
	}
	var entries []string
	for _, p := range m.page {
		if p.op == nil || p.op.SettledOn == "" {
			entries = append(entries, rowKey(p.id))
		}
	}
	var booked map[string]string
	if len(entries) > 0 {
		var err error
		if booked, err = m.bookedOn(entries...); err != nil {
			return err
		}
	}
	for i := range m.page {
		p := &m.page[i]
		var err error
		switch taken := booked[rowKey(p.id)]; {
		case taken != "":
			err = m.duplicate(p.id, &p.row, p.op, taken)
		case p.op != nil:
			err = m.pair(p.id, &p.row, p.op, false)
		default:
			err = m.keepRow(p.id, &p.row)
		}
		if err != nil {
			return err
		}
	}
	m.page = m.page[:0]
	return nil
}

// find gives the rows of the page their operations, as far as the journal knows them.
func (m *matcher) find() error {
	var ids []string
	for _, p := range m.page {
		if p.op == nil {
			ids = append(ids, p.id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	found, err := m.journal.Find(m.ctx, ids)
	if err != nil {
		return fmt.Errorf("find operations: %w", err)
	}
	byID := make(map[string]*Operation, len(found))
	for i := range found {
		byID[found[i].TransactionID] = &found[i]
	}
	for i := range m.page {
		if p := &m.page[i]; p.op == nil {
			p.op = byID[p.id]
		}
	}
	return nil
}

// referenceKey orders rows and operations of the second pass: equal keys are partners.
func referenceKey(reference string, currency int, way Way, units int64) []byte {
	key := append(make([]byte, 0, len(reference)+16), reference...)
	key = append(key, 0, byte(way+1))
	key = binary.BigEndian.AppendUint32(key, uint32(currency))
	return binary.BigEndian.AppendUint64(key, uint64(units))
}

func (m *matcher) keepRow(id string, row *kept) error {
	a := row.amounts[0]
	if row.reference == "" {
		return m.unknown(id, row)
	}
	row.request = id
	m.day.buffer = row.encode(m.day.buffer[:0])
	return m.day.references[0].add(referenceKey(row.reference, a.currency, WayOf(categories[a.category]), a.units), m.day.buffer)
}

func (m *matcher) keepOperation(op *Operation) error {
	if op.SettledOn != "" && op.SettledOn != m.day.config.Date {
		return nil
	}
	if err := m.step(); err != nil {
		return err
	}
	units, currency, err := m.day.currencies.units(op.Amount)
	if err != nil {
		return fmt.Errorf("operation %s: %w", op.Key, err)
	}
	way, _, err := wayOf(op.Kind)
	if err != nil {
		return fmt.Errorf("operation %s: %w", op.Key, err)
	}
	body, err := json.Marshal(op)
	if err != nil {
		return fmt.Errorf("spool operation: %w", err)
	}
	return m.day.references[1].add(referenceKey(op.Reference, currency, way, units), body)
}

// byReferences is the merge of what found no partner by transaction id. Of equal keys the first row takes the first operation.
func (m *matcher) byReferences() error {
	rows, err := m.day.references[0].sorted()
	if err != nil {
		return err
	}
	ops, err := m.day.references[1].sorted()
	if err != nil {
		return err
	}
	opKey, opBody, opErr := ops.next()
	for {
		key, value, err := rows.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		var row kept
		row.decode(value)
		for opErr == nil && string(opKey) < string(key) {
			if err := m.missing(opBody); err != nil {
				return err
			}
			opKey, opBody, opErr = ops.next()
		}
		if opErr == nil && string(opKey) == string(key) {
			op, err := decodeOperation(opBody)
			if err != nil {
				return err
			}
			if err := m.pair(row.request, &row, &op, true); err != nil {
				return err
			}
			opKey, opBody, opErr = ops.next()
			continue
		}
		if err := m.unknown(row.request, &row); err != nil {
			return err
		}
	}
	for opErr == nil {
		if err := m.missing(opBody); err != nil {
			return err
		}
		_, opBody, opErr = ops.next()
	}
	if !errors.Is(opErr, io.EOF) {
		return opErr
	}
	return nil
}

func decodeOperation(body []byte) (op Operation, err error) {
	if err = json.Unmarshal(body, &op); err != nil {
		err = fmt.Errorf("read spooled operation: %w", err)
	}
	return op, err
}

// unknown tells of a row that nothing in the journal explains: its money is there, so its amount is a difference.
func (m *matcher) unknown(id string, row *kept) error {
	a := row.amounts[0]
	m.states[UnknownRow]++
	m.day.differ(a.currency, int64(WayOf(categories[a.category]))*a.units)
	m.day.batch(a.currency, row.batch)
	if err := m.report(m.difference(UnknownRow, id, row, nil)); err != nil {
		return err
	}
	return m.markRow(id, row)
}

// missing tells of an operation that no row shows, if it is due. Its money is not there, and nothing is posted for it. One that an
// earlier delivery of this day showed was posted: it stays so, as no other day would take it, and its money lacks.
func (m *matcher) missing(body []byte) error {
	op, err := decodeOperation(body)
	if err != nil {
		return err
	}
	due := m.day.config.Cutoff.Due(op.At)
	if op.SettledOn == "" && due > m.day.config.Date {
		m.pending++
		return nil
	}
	units, currency, err := m.day.currencies.units(op.Amount)
	if err != nil {
		return fmt.Errorf("operation %s: %w", op.Key, err)
	}
	way, category, err := wayOf(op.Kind)
	if err != nil {
		return fmt.Errorf("operation %s: %w", op.Key, err)
	}
	own := categoryIndex(category)
	m.day.book(currency).expected[own].add(units)
	if op.SettledOn != "" {
		m.day.post(0, own, currency, units)
		m.day.differ(currency, -int64(way)*units)
	}
	m.states[MissingRow]++
	return m.report(Difference{
		State: MissingRow, Category: category, Expected: op.Amount, OrderID: op.OrderID, Operation: op.Key, TransactionID: op.TransactionID,
		Reference: op.Reference, DueOn: due, SettledOn: op.SettledOn,
	})
}

// bookEntries takes fees, disputes and payouts that no other day has taken.
func (m *matcher) bookEntries() error {
	rows, err := m.day.entries.sorted()
	if err != nil {
		return err
	}
	before := ""
	for {
		key, value, err := rows.next()
		if errors.Is(err, io.EOF) {
			return m.bookPage()
		}
		if err != nil {
			return err
		}
		var row kept
		row.decode(value)
		if string(key) == before {
			if err := m.duplicate(row.request, &row, nil, ""); err != nil {
				return err
			}
			continue
		}
		before = string(key)
		m.page = append(m.page, pending{id: before, row: row})
		if len(m.page) == pageSize {
			if err := m.bookPage(); err != nil {
				return err
			}
		}
		if err := m.step(); err != nil {
			return err
		}
	}
}

func (m *matcher) bookPage() error {
	if len(m.page) == 0 {
		return nil
	}
	keys := make([]string, len(m.page))
	for i, p := range m.page {
		keys[i] = p.id
	}
	booked, err := m.bookedOn(keys...)
	if err != nil {
		return err
	}
	for i := range m.page {
		if err := m.bookEntry(&m.page[i], booked[m.page[i].id]); err != nil {
			return err
		}
	}
	m.page = m.page[:0]
	return nil
}

// overlapping tells reports that are asked for over some days more than the one that is settled, because their rows come late: what an
// earlier day took is no row of this one.
func overlapping(kind report.Kind) bool {
	return kind == report.ChargebackCases || kind == report.RetrievalCases
}

func (m *matcher) bookEntry(p *pending, taken string) error {
	day, row := m.day, &p.row
	if taken != "" && overlapping(day.sources[row.source]) {
		for _, a := range row.amounts[:row.n] {
			day.book(a.currency).reported[a.category].remove(a.units)
		}
		return nil
	}
	for _, a := range row.amounts[:row.n] {
		day.book(a.currency).distinct[a.category].add(a.units)
	}
	if taken != "" {
		return m.duplicate(row.request, row, nil, taken)
	}
	for _, a := range row.amounts[:row.n] {
		if WayOf(categories[a.category]) != Nowhere {
			day.post(row.group, a.category, a.currency, a.units)
		}
	}
	m.states[Matched]++
	a := row.amounts[0]
	return m.sink.Mark(Mark{
		Entry: p.id, TransactionID: row.request, Date: day.config.Date, BatchID: row.batch, BatchDate: row.date(), Category: categories[a.category],
		Amount: day.currencies.money(a.units, a.currency),
	})
}

// classes are the categories whose rows a stated total sums up.
var classes = map[report.SumClass][]canonical.SettlementCategory{
	report.SumSales:   {canonical.SettlementSale},
	report.SumRefunds: {canonical.SettlementRefund},
	report.SumFees: {canonical.SettlementFee, FeeInterchange, FeeDiscount, FeeAssessment, FeePerItem, FeeService,
		canonical.SettlementChargebackFee},
	report.SumChargebacks: {canonical.SettlementChargeback},
}

// checkTotals holds the rows, without those repeated within the day, to the totals that the gateway states.
func (m *matcher) checkTotals() error {
	for _, source := range m.day.sources {
		for _, class := range []report.SumClass{report.SumSales, report.SumRefunds, report.SumFees, report.SumChargebacks} {
			if !m.statedAtAll(source, class) {
				continue
			}
			for currency := range m.day.currencies.codes {
				if err := m.checkTotal(statedKey{source, class, currency}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (m *matcher) statedAtAll(source report.Kind, class report.SumClass) bool {
	for key := range m.day.stated {
		if key.source == source && key.class == class {
			return true
		}
	}
	return false
}

func (m *matcher) checkTotal(key statedKey) error {
	stated := m.day.stated[key]
	if stated == nil {
		stated = &tally{}
	}
	var sum tally
	book := m.day.book(key.currency)
	for _, category := range classes[key.class] {
		t := &book.distinct[categoryIndex(category)]
		sum.count += t.count
		sum.units += t.units
		sum.spill = sum.spill.Add(t.spill)
	}
	scale, code := m.day.currencies.scales[key.currency], m.day.currencies.codes[key.currency]
	reported, expected := sum.amount(scale), stated.amount(scale)
	counted := stated.count > 0 && stated.count != sum.count
	if reported.Equal(expected) && !counted {
		return nil
	}
	m.states[TotalDiffers]++
	return m.report(Difference{
		State: TotalDiffers, Category: classes[key.class][0], Reported: canonical.NewMoney(reported, code), Expected: canonical.NewMoney(expected, code),
		Report: key.source, Counts: [2]int{sum.count, stated.count},
	})
}
