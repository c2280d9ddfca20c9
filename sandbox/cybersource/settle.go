package cybersource

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/sandbox/control"
)

const (
	totalsOfRows   = "rows"
	totalsOfLedger = "ledger"
	maxGenerated   = 10_000_000
	maxPlanted     = 10_000
)

// settleOrder is the body of POST /_sandbox/settle: what the day's reports get wrong, and when they are there.
type settleOrder struct {
	MerchantID    string      `json:"merchantId"`    // whose reports are planted; default the first merchant
	Missing       picks       `json:"missing"`       // rows that are left out
	Late          picks       `json:"late"`          // rows that earlier days left out: they come now
	Extra         int         `json:"extra"`         // rows that nothing in the ledger answers to
	AmountOff     picks       `json:"amountOff"`     // rows with another amount: {"id","by"} or {"id","amount"}; default by 1.00
	CurrencyOff   picks       `json:"currencyOff"`   // rows with another currency: {"id","currency"}; default EUR, of euros USD
	Duplicate     picks       `json:"duplicate"`     // rows that stand there twice
	Truncate      bool        `json:"truncate"`      // files end within their last row
	Rows          int         `json:"rows"`          // so many generated rows besides
	Totals        string      `json:"totals"`        // "rows" (default): totals and deposit agree with the reported rows; "ledger": with the truth
	DepositDays   int         `json:"depositDays"`   // the deposit is reported so many days later
	LateReport    *lateReport `json:"lateReport"`    // files are not there at once
	FailedReports []string    `json:"failedReports"` // names of files whose making fails
}

// lateReport says which files come late, and by how much.
type lateReport struct {
	DelayMS int      `json:"delayMs"`
	Reports []string `json:"reports"` // names; empty is all
}

// pick names one row, and for some plants what becomes of it.
type pick struct {
	ID       string `json:"id"`
	By       string `json:"by"` // may have a sign
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

// picks are a number of rows, or certain rows: 2, ["7..."] or [{"id":"7...",...}]. An entry without id takes the next free row.
type picks []pick

func (p *picks) UnmarshalJSON(raw []byte) error {
	var count int
	if json.Unmarshal(raw, &count) == nil {
		if count < 0 || count > maxPlanted {
			return fmt.Errorf("a number of rows is 0 to %d", maxPlanted)
		}
		*p = make(picks, count)
		return nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return errors.New("is neither a number nor a list")
	}
	for _, one := range list {
		var chosen pick
		if json.Unmarshal(one, &chosen.ID) != nil {
			decoder := json.NewDecoder(bytes.NewReader(one))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&chosen); err != nil {
				return err
			}
		}
		*p = append(*p, chosen)
	}
	return nil
}

// plants is what a day's reports get wrong.
type plants struct {
	Missing     []string          `json:"missing,omitempty"`
	Late        []string          `json:"late,omitempty"`
	Extra       int               `json:"extra,omitempty"`
	AmountOff   map[string]int64  `json:"amountOff,omitempty"` // id -> minor units that are reported
	CurrencyOff map[string]string `json:"currencyOff,omitempty"`
	Duplicate   []string          `json:"duplicate,omitempty"`
	Truncate    bool              `json:"truncate,omitempty"`
}

// settlementDay is one merchant's day whose batch is closed.
type settlementDay struct {
	MerchantID  string    `json:"merchantId"`
	Date        string    `json:"date"`     // in the merchant's time zone
	ClosedAt    time.Time `json:"closedAt"` // within the day
	Batches     []string  `json:"batches,omitempty"`
	MadeAt      time.Time `json:"madeAt"`      // when the reports were ordered
	DepositDate string    `json:"depositDate"` // the day whose reports show the deposit
	Plants      plants    `json:"plants,omitzero"`
	Rows        int       `json:"rows,omitempty"`
	Generated   string    `json:"generated,omitempty"` // batch of generated and extra rows
	Totals      string    `json:"totals,omitempty"`

	ReadyAt time.Time `json:"readyAt"`
	Late    []string  `json:"late,omitempty"` // names of the reports that wait for ReadyAt; empty is all
	Failed  []string  `json:"failed,omitempty"`
}

// reportDate is the date under which the day's reports are found: the end of the period.
func (d *settlementDay) reportDate() string {
	day, err := time.Parse(time.DateOnly, d.Date)
	if err != nil { // dates are checked before they are kept
		return ""
	}
	return day.AddDate(0, 0, 1).Format(time.DateOnly)
}

// postSettle is POST /_sandbox/settle?date=YYYY-MM-DD: it closes the batch of everything up to that day, in the
// merchant's time zone, and makes that day's reports. Without a date it is today's. The same day again takes what came since, and
// makes the reports anew, with the plants of that call alone.
func (s *Server) postSettle(w http.ResponseWriter, r *http.Request) {
	order := settleOrder{MerchantID: s.cfg.MerchantID, Totals: totalsOfRows}
	if err := control.ReadJSON(r, &order); err != nil {
		control.Refuse(w, http.StatusBadRequest, err)
		return
	}
	now := s.cfg.Clock().In(s.cfg.TimeZone)
	date := orElse(r.URL.Query().Get("date"), now.Format(time.DateOnly))
	day, err := time.ParseInLocation(time.DateOnly, date, s.cfg.TimeZone)
	if err != nil {
		control.Refuse(w, http.StatusBadRequest, errors.New("date is not YYYY-MM-DD"))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	planted, err := s.plan(&order, day) // before anything is closed: an order that can't be met changes nothing
	if err != nil {
		control.Refuse(w, http.StatusBadRequest, err)
		return
	}
	batch, batched := s.closeBatch(day)
	made := s.makeReports(&order, day, planted, batch, batched)
	ids := make([]string, len(batched))
	for i, t := range batched {
		ids[i] = t.ID
	}
	control.WriteJSON(w, http.StatusOK, object{"date": date, "batchId": batch, "count": len(ids), "transactions": ids,
		"reportDate": made.reportDate(), "reports": s.reportsOf(made), "planted": s.plantedShown(made)})
}

// closeBatch sends every open sale, capture, refund and credit up to the end of a day to the processor.
func (s *Server) closeBatch(day time.Time) (string, []*transaction) {
	batched := s.closing(day)
	if len(batched) == 0 {
		return "", nil
	}
	batch := s.books.nextID(s.cfg.Clock())
	for _, t := range batched {
		t.Status, t.Settlement = statusBatched, statusBatched
		t.BatchID, t.BatchDate = batch, day.Format(time.DateOnly)
		s.announceBatched(t)
	}
	s.store(batched...)
	return batch, batched
}

// closing is what the batch of a day takes, in the order of ids.
func (s *Server) closing(day time.Time) []*transaction {
	end := day.AddDate(0, 0, 1)
	var open []*transaction
	for _, t := range s.books.unbatched {
		if t.At.Before(end) {
			open = append(open, t)
		}
	}
	slices.SortFunc(open, func(a, b *transaction) int { return strings.Compare(a.ID, b.ID) })
	return open
}

// makeReports keeps the day of every merchant that has one, or has something in this batch.
func (s *Server) makeReports(order *settleOrder, day time.Time, planted plants, batch string, batched []*transaction) *settlementDay {
	date := day.Format(time.DateOnly)
	var ordered *settlementDay
	var entries []control.Entry
	for _, merchant := range s.merchants() {
		kept := s.books.reporting.day(merchant, date)
		mine := merchant == order.MerchantID
		inBatch := slices.ContainsFunc(batched, func(t *transaction) bool { return t.MerchantID == merchant })
		if !mine && !inBatch && kept != nil {
			continue
		}
		if kept == nil {
			kept = &settlementDay{MerchantID: merchant, Date: date, ClosedAt: s.closedAt(day), Totals: totalsOfRows, DepositDate: date}
		}
		if inBatch {
			kept.Batches = append(kept.Batches, batch)
		}
		kept.MadeAt = s.cfg.Clock().UTC()
		if mine {
			s.apply(order, kept, day, planted)
			ordered = kept
		}
		for _, event := range s.books.reporting.waiting(merchant, day.AddDate(0, 0, 1)) {
			event.Day = date
			entries = append(entries, control.Entry{Kind: entityDispute, ID: event.key(), Doc: event})
		}
		s.books.reporting.addDay(kept)
		entries = append(entries, control.Entry{Kind: entityDay, ID: byMerchant(merchant, date), Doc: kept})
	}
	s.put(entries...)
	return ordered
}

// apply sets what the order says of its merchant's day.
func (s *Server) apply(order *settleOrder, kept *settlementDay, day time.Time, planted plants) {
	kept.Plants, kept.Rows, kept.Totals, kept.Failed = planted, order.Rows, order.Totals, order.FailedReports
	kept.DepositDate = day.AddDate(0, 0, order.DepositDays).Format(time.DateOnly)
	kept.ReadyAt, kept.Late = kept.MadeAt, nil
	if order.LateReport != nil {
		kept.ReadyAt = kept.MadeAt.Add(time.Duration(order.LateReport.DelayMS) * time.Millisecond)
		kept.Late = order.LateReport.Reports
	}
	if kept.Generated == "" && (order.Rows > 0 || order.Extra > 0) {
		kept.Generated = s.books.nextID(s.cfg.Clock())
	}
}

// closedAt is when the batch counts as closed: now, or the end of the day where that is another one.
func (s *Server) closedAt(day time.Time) time.Time {
	now, start, end := s.cfg.Clock().UTC(), day.UTC(), day.AddDate(0, 0, 1).UTC()
	if now.Before(start) || !now.Before(end) {
		return end.Add(-time.Second)
	}
	return now.Truncate(time.Second)
}

// plan turns an order into plants of certain rows. Every row is planted at most once.
func (s *Server) plan(order *settleOrder, day time.Time) (plants, error) {
	if err := s.checkOrder(order); err != nil {
		return plants{}, err
	}
	date := day.Format(time.DateOnly)
	rows := picker{}
	for _, t := range append(s.books.reporting.batchedOn(order.MerchantID, date), s.closing(day)...) {
		if t.MerchantID == order.MerchantID {
			rows.free = append(rows.free, t)
		}
	}
	slices.SortFunc(rows.free, func(a, b *transaction) int { return strings.Compare(a.ID, b.ID) })
	left := picker{free: s.books.reporting.leftOut(order.MerchantID, date, s.books)}
	rows.name(order.Missing, order.AmountOff, order.CurrencyOff, order.Duplicate)
	left.name(order.Late)

	planted := plants{Extra: order.Extra, Truncate: order.Truncate, AmountOff: map[string]int64{}, CurrencyOff: map[string]string{}}
	planted.Missing = idsOf(rows.take(order.Missing))
	for _, one := range rows.take(order.AmountOff) {
		planted.AmountOff[one.transaction.ID] = rows.must(one.reportedUnits())
	}
	for _, one := range rows.take(order.CurrencyOff) {
		code, err := one.otherCurrency()
		rows.fail(err)
		planted.CurrencyOff[one.transaction.ID] = code
	}
	planted.Duplicate = idsOf(rows.take(order.Duplicate))
	planted.Late = idsOf(left.take(order.Late))
	return planted, errors.Join(rows.err, left.err)
}

func (s *Server) checkOrder(order *settleOrder) error {
	if !slices.Contains(s.merchants(), order.MerchantID) {
		return errors.New("merchantId is not a merchant of this sandbox")
	}
	if order.Extra < 0 || order.Extra > maxPlanted || order.Rows < 0 || order.Rows > maxGenerated || order.DepositDays < 0 || order.DepositDays > 60 {
		return errors.New("extra, rows or depositDays is out of range")
	}
	if order.Totals != totalsOfRows && order.Totals != totalsOfLedger {
		return errors.New(`totals is neither "rows" nor "ledger"`)
	}
	names := slices.Clone(order.FailedReports)
	if order.LateReport != nil {
		if order.LateReport.DelayMS < 0 {
			return errors.New("lateReport.delayMs is negative")
		}
		names = append(names, order.LateReport.Reports...)
	}
	for _, name := range names {
		if s.subscribed(order.MerchantID, name) == nil {
			return fmt.Errorf("there is no report %q", name)
		}
	}
	return nil
}

// picker gives rows to plants: those that are named, else the free ones in the order of ids. It keeps its first error.
type picker struct {
	free  []*transaction
	named map[string]*transaction
	err   error
}

// picked is a row with what was said of it.
type picked struct {
	pick
	transaction *transaction
}

// name keeps the rows that any plant names from being taken as free ones.
func (p *picker) name(lists ...picks) {
	p.named = map[string]*transaction{}
	for _, one := range slices.Concat(lists...) {
		if one.ID == "" {
			continue
		}
		at := slices.IndexFunc(p.free, func(t *transaction) bool { return t.ID == one.ID })
		if at < 0 {
			p.fail(fmt.Errorf("there is no row %q, or it is planted twice", one.ID))
			continue
		}
		p.named[one.ID] = p.free[at]
		p.free = slices.Delete(p.free, at, at+1)
	}
}

func (p *picker) take(list picks) []picked {
	var taken []picked
	for _, one := range list {
		t := p.named[one.ID]
		if one.ID == "" && len(p.free) > 0 {
			t, p.free = p.free[0], p.free[1:]
		}
		if t == nil {
			p.fail(errors.New("there are not enough rows to plant"))
			return nil
		}
		taken = append(taken, picked{one, t})
	}
	return taken
}

func (p *picker) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

func (p *picker) must(units int64, err error) int64 {
	p.fail(err)
	return units
}

func idsOf(rows []picked) []string {
	var ids []string
	for _, row := range rows {
		ids = append(ids, row.transaction.ID)
	}
	return ids
}

// reportedUnits is the wrong amount of a row.
func (p picked) reportedUnits() (int64, error) {
	t := p.transaction
	wrong := t.Amount.Add(decimal.NewFromInt(1))
	switch {
	case p.Amount != "":
		amount, ok := parseAmount(p.Amount, t.Currency)
		if !ok {
			return 0, fmt.Errorf("%q is no amount", p.Amount)
		}
		wrong = amount
	case p.By != "":
		by, ok := parseAmount(strings.TrimPrefix(p.By, "-"), t.Currency)
		if !ok {
			return 0, fmt.Errorf("%q is no amount", p.By)
		}
		if strings.HasPrefix(p.By, "-") {
			by = by.Neg()
		}
		wrong = t.Amount.Add(by)
	}
	units := unitsOf(wrong, t.Currency)
	if units < 0 || units == unitsOf(t.Amount, t.Currency) {
		return 0, errors.New("the amount of a row would be negative, or right")
	}
	return units, nil
}

func (p picked) otherCurrency() (string, error) {
	code := p.Currency
	if code == "" {
		if code = "EUR"; p.transaction.Currency == code {
			code = "USD"
		}
	}
	if !knownCurrency(code) || code == p.transaction.Currency {
		return "", fmt.Errorf("%q is no other currency", code)
	}
	return code, nil
}

// plantedShown tells exactly what a day's reports get wrong.
func (s *Server) plantedShown(day *settlementDay) object {
	p := day.Plants
	amounts, currencies, extra := []object{}, []object{}, []string{}
	for _, id := range slices.Sorted(maps.Keys(p.AmountOff)) {
		t := s.books.byID[id]
		amounts = append(amounts, object{"id": id, "amount": formatAmount(t.Amount, t.Currency), "reported": formatUnits(p.AmountOff[id], t.Currency)})
	}
	for _, id := range slices.Sorted(maps.Keys(p.CurrencyOff)) {
		currencies = append(currencies, object{"id": id, "currency": s.books.byID[id].Currency, "reported": p.CurrencyOff[id]})
	}
	for i := range p.Extra {
		extra = append(extra, extraID(day.Date, i))
	}
	return object{"missing": orEmpty(p.Missing), "late": orEmpty(p.Late), "extra": extra, "amountOff": amounts, "currencyOff": currencies,
		"duplicate": orEmpty(p.Duplicate), "truncate": p.Truncate, "rows": day.Rows}
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
