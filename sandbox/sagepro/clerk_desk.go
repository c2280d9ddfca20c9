package sagepro

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/sandbox/control"
)

type stockInput struct {
	StockCode, Warehouse, Description, UnitOfMeasure string
	QtyOnHand, QtyAdjust, QtyOnOrder, UnitCost       *numeric
}

type stockRow struct {
	StockCode      string
	Description    string
	UnitOfMeasure  string
	Warehouse      string
	QtyOnHand      amount
	QtyAllocated   amount
	QtyOnBackOrder amount
	QtyOnOrder     amount
	UnitCost       amount
}

// setStock counts, adjusts or adds an item in a location.
func (c *clerk) setStock(in *stockInput) (any, error) {
	item, location := strings.ToUpper(strings.TrimSpace(in.StockCode)), strings.TrimSpace(in.Warehouse)
	if location == "" {
		location = defaultLocation
	}
	if item == "" || len(item) > itemWidth || !slices.Contains(locations, location) {
		return nil, refuse(http.StatusBadRequest, codeInvalid, "StockCode takes 15 characters, Warehouse one of %s", strings.Join(locations, ", "))
	}
	c.counters(movementCounter)
	c.addItem(item, location)
	at := place{item, location}
	row := c.stock(at)[at]
	if row == nil {
		return nil, cmp.Or(c.err, refuse(http.StatusUnprocessableEntity, codeStockUnknown, "item %s is not kept in location %s", item, location))
	}
	target := row.Onhand.Decimal
	if in.QtyOnHand != nil {
		target = in.QtyOnHand.Decimal
	}
	if in.QtyAdjust != nil {
		target = target.Add(in.QtyAdjust.Decimal)
	}
	if target.IsNegative() {
		return nil, refuse(http.StatusUnprocessableEntity, codeInsufficient, "there would be %s on hand", target)
	}
	c.describe(row, in)
	c.move(row, target.Sub(row.Onhand.Decimal), decimal.Zero, "COUNT", "")
	return stockView(row, decimal.Zero), c.err
}

// addItem makes the rows of an item that are absent.
func (c *clerk) addItem(item, location string) {
	var known, kept int
	c.get(&known, "SELECT count(*) FROM icitem WHERE item = ?", code(item, itemWidth))
	c.get(&kept, "SELECT count(*) FROM iciloc WHERE item = ? AND loctid = ?", code(item, itemWidth), code(location, loctidWidth))
	if known == 0 {
		c.insert("icitem", row{"item": code(item, itemWidth), "itmdesc": item, "price": "0", "avgcost": "0", "stkcode": "Y", "ionhand": "0"})
	}
	if kept == 0 {
		c.insert("iciloc", row{"item": code(item, itemWidth), "loctid": code(location, loctidWidth), "lonhand": "0", "lsoaloc": "0", "lonordr": "0"})
	}
}

func (c *clerk) describe(s *stock, in *stockInput) {
	key := code(string(s.Item), itemWidth)
	if in.Description != "" {
		s.Itmdesc = text(in.Description)
		c.update("icitem", row{"itmdesc": in.Description}, "item = ?", key)
	}
	if in.UnitOfMeasure != "" {
		s.Stkumid = text(in.UnitOfMeasure)
		c.update("icitem", row{"stkumid": in.UnitOfMeasure}, "item = ?", key)
	}
	if in.UnitCost != nil {
		s.Avgcost = amount{in.UnitCost.Decimal}
		c.update("icitem", row{"avgcost": s.Avgcost}, "item = ?", key)
	}
	if in.QtyOnOrder != nil {
		s.Onordr = amount{in.QtyOnOrder.Decimal}
		c.update("iciloc", row{"lonordr": s.Onordr}, "item = ? AND loctid = ?", key, code(string(s.Loctid), loctidWidth))
	}
}

// stockView is an item in a location under the names of the SYSPRO sandbox's ledger, where what orders take is told apart into what there is stock for
// and what waits.
func stockView(s *stock, waiting decimal.Decimal) stockRow {
	return stockRow{StockCode: string(s.Item), Description: string(s.Itmdesc), UnitOfMeasure: string(s.Stkumid), Warehouse: string(s.Loctid), QtyOnHand: quantity(s.Onhand.Decimal),
		QtyAllocated: quantity(s.Alloc.Sub(waiting)), QtyOnBackOrder: quantity(waiting), QtyOnOrder: quantity(s.Onordr.Decimal), UnitCost: quantity(s.Avgcost.Decimal)}
}

type customerInput struct {
	CustomerCode, Name, Currency, TermsCode, Email string
	CreditLimit                                    *numeric
	OnHold                                         *bool
	CreditStatus                                   *string // as in credstat: blank, H held, O overdue
}

type customerAnswer struct {
	success
	customerRow
}

// setCustomer adds or changes a customer, with what only the ERP's own people set: hold and credit status.
func (c *clerk) setCustomer(in *customerInput) (any, error) {
	custno := strings.ToUpper(strings.TrimSpace(in.CustomerCode))
	if custno == "" || len(custno) > custnoWidth {
		return nil, refuse(http.StatusBadRequest, codeInvalid, "CustomerCode takes 1 to %d characters", custnoWidth)
	}
	change := row{}
	for column, value := range map[string]string{"company": in.Name, "currency": in.Currency, "pterms": in.TermsCode, "email": in.Email} {
		if value != "" {
			change[column] = value
		}
	}
	if in.CreditLimit != nil {
		change["limit"] = amount{in.CreditLimit.Decimal}
	}
	if in.CreditStatus != nil {
		change["credstat"] = *in.CreditStatus
	}
	if in.OnHold != nil {
		change["credstat"] = map[bool]string{true: creditHeld}[*in.OnHold]
	}
	var known int
	c.get(&known, "SELECT count(*) FROM arcust WHERE custno = ?", code(custno, custnoWidth))
	if known == 0 {
		if in.Name == "" {
			change["company"] = custno
		}
		change["custno"] = code(custno, custnoWidth)
		c.insert("arcust", c.audit(change))
	}
	found, err := c.customer(custno)
	if err != nil {
		return nil, err
	}
	if known > 0 && len(change) > 0 {
		c.update("arcust", change, "custno = ?", code(custno, custnoWidth))
	}
	c.get(found, "SELECT "+customerColumns+" FROM arcust WHERE custno = ?", code(custno, custnoWidth))
	return customerAnswer{done(), customerView(found, "")}, c.err
}

type periodInput struct {
	Module                     string // GL, AR, AP; "" is all
	CurrentYear, CurrentPeriod int    // absent: as the clock has it
	Open                       []string
	FollowClock                bool // undoes an earlier setting
}

type periodRow struct {
	Module                     string
	CurrentYear, CurrentPeriod int
	Open                       []string // months, YYYY-MM
}

// setPeriods opens, closes and moves periods: C is the current one, P the one before, B the one before that.
func (c *clerk) setPeriods(in *periodInput) (any, error) {
	if in.Module != "" && !slices.Contains(modules[:], in.Module) {
		return nil, refuse(http.StatusBadRequest, codeInvalid, "Module takes GL, AR, AP")
	}
	if in.CurrentPeriod < 0 || in.CurrentPeriod > 12 || in.CurrentYear < 0 || in.CurrentYear > 9999 {
		return nil, refuse(http.StatusBadRequest, codeInvalid, "CurrentPeriod takes 1 to 12")
	}
	for _, o := range in.Open {
		if o != "C" && o != "P" && o != "B" {
			return nil, refuse(http.StatusBadRequest, codeInvalid, "Open takes C, P, B")
		}
	}
	for _, m := range modules {
		if in.Module == "" || in.Module == m {
			c.setPeriod(c.server.sysid(m), in)
		}
	}
	answer := struct {
		success
		Modules []periodRow
	}{success: done()}
	for _, m := range modules {
		answer.Modules = append(answer.Modules, c.period(m))
	}
	return answer, c.err
}

func (c *clerk) setPeriod(sysid string, in *periodInput) {
	c.exec("DELETE FROM sandbox_pin WHERE sysid = ?", sysid)
	if in.FollowClock {
		c.openPeriods(sysid, c.now, openByClock(c.now))
		return
	}
	c.insert("sandbox_pin", row{"sysid": sysid})
	current := firstOf(c.now)
	if in.CurrentYear != 0 {
		current = time.Date(in.CurrentYear, current.Month(), 1, 0, 0, 0, 0, time.UTC)
	}
	if in.CurrentPeriod != 0 {
		current = time.Date(current.Year(), time.Month(in.CurrentPeriod), 1, 0, 0, 0, 0, time.UTC)
	}
	open := in.Open
	if open == nil {
		open = []string{"C", "P"}
	}
	c.openPeriods(sysid, current, func(month time.Time) bool {
		for _, o := range open {
			if month.Equal(current.AddDate(0, -strings.Index("CPB", o), 0)) {
				return true
			}
		}
		return false
	})
}

func (c *clerk) period(module string) periodRow {
	var open []struct {
		Year   int `db:"glyear"`
		Period int `db:"glperiod"`
	}
	c.all(&open, "SELECT glyear, glperiod FROM sycperd WHERE sysid = ? AND isopen = 'Y' ORDER BY glyear, glperiod", c.server.sysid(module))
	row := periodRow{Module: module, CurrentYear: c.now.Year(), CurrentPeriod: int(c.now.Month()), Open: []string{}}
	for _, o := range open {
		row.CurrentYear, row.CurrentPeriod = o.Year, o.Period
		row.Open = append(row.Open, fmt.Sprintf("%04d-%02d", o.Year, o.Period))
	}
	return row
}

// lockedRecord is lckstat of a record that somebody has open.
const lockedRecord = "L"

type lockInput struct {
	Table, Key, User string
	MinutesAgo       int // how long it has been open
}

type lockRow struct {
	Table string
	Key   text `db:"key"`
	User  text `db:"lckuser"`
	Date  day  `db:"lckdate"`
	Time  text `db:"lcktime"`
}

// lockKeys are the tables with record locks, each with its key and the way that is filled up.
var lockKeys = map[string]struct {
	column string
	padded func(string) string
}{
	"arcust": {"custno", func(key string) string { return code(strings.ToUpper(key), custnoWidth) }},
	"somast": {"sono", number},
}

// lock opens a record at a screen, as a person who goes to lunch.
func (c *clerk) lock(in *lockInput) (any, error) {
	table := strings.ToLower(in.Table)
	key, known := lockKeys[table]
	user := in.User
	if user == "" {
		user = "MARY"
	}
	if !known || in.Key == "" || len(user) > 4 || in.MinutesAgo < 0 {
		return nil, refuse(http.StatusBadRequest, codeInvalid, "Table takes arcust, somast; Key is required; User takes 4 characters")
	}
	since := c.now.Add(-time.Duration(in.MinutesAgo) * time.Minute)
	var state []text
	c.all(&state, "SELECT lckstat FROM "+table+" WHERE "+key.column+" = ?"+c.server.dialect.locking(), key.padded(in.Key))
	switch {
	case c.err != nil:
		return nil, c.err
	case len(state) == 0:
		return nil, refuse(http.StatusNotFound, "NOT_FOUND", "there is no such record in %s", table)
	case state[0] == lockedRecord:
		return nil, refuse(http.StatusLocked, codeLocked, "the record is in use already")
	}
	c.update(table, row{"lckstat": lockedRecord, "lckuser": user, "lckdate": since.Format(time.DateOnly), "lcktime": since.Format(time.TimeOnly)},
		key.column+" = ?", key.padded(in.Key))
	return done(), c.err
}

// locks lists the records that somebody has open.
func (c *clerk) locks() []lockRow {
	all := []lockRow{}
	for _, table := range []string{"arcust", "somast"} {
		var rows []lockRow
		c.all(&rows, "SELECT "+lockKeys[table].column+" AS key, lckuser, lckdate, lcktime FROM "+table+" WHERE lckstat = 'L' ORDER BY id_col")
		for _, r := range rows {
			r.Table = table
			all = append(all, r)
		}
	}
	return all
}

// unlock closes every record.
func (c *clerk) unlock() {
	for table := range lockKeys {
		c.update(table, row{"lckstat": "", "lckuser": "", "lckdate": nil, "lcktime": ""}, "lckstat = 'L'")
	}
}

func (s *Server) mountLocks(mux *http.ServeMux) {
	clerkCall(s, mux, "locks", (*clerk).lock)
	mux.HandleFunc("GET "+control.Prefix+"locks", func(w http.ResponseWriter, r *http.Request) {
		var rows []lockRow
		err := s.asClerk(r.Context(), func(c *clerk) error {
			rows = c.locks()
			return c.err
		})
		if err != nil {
			s.writeRefusal(w, err)
			return
		}
		control.WriteJSON(w, http.StatusOK, map[string]any{"locks": rows})
	})
	mux.HandleFunc("DELETE "+control.Prefix+"locks", func(w http.ResponseWriter, r *http.Request) {
		err := s.asClerk(r.Context(), func(c *clerk) error {
			c.unlock()
			return c.err
		})
		if err != nil {
			s.writeRefusal(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

type lateInput struct {
	LagMs int // how much earlier than its commit the next invoice or credit memo was begun
}

// commitLate makes the clerk's next invoice or credit memo one that was begun a while ago: its id_col is lower than that of rows which others
// commit meanwhile, and its audit columns tell the earlier time.
func (c *clerk) commitLate(in *lateInput) (any, error) {
	if in.LagMs < 1 || in.LagMs > int(time.Hour/time.Millisecond) {
		return nil, refuse(http.StatusBadRequest, codeInvalid, "LagMs takes 1 to 3600000")
	}
	id, err := c.server.dialect.reserve(c.ctx, c.tx, "armast")
	if err != nil {
		return nil, err
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.server.reserved, c.server.late = id, time.Duration(in.LagMs)*time.Millisecond
	return done(), nil
}

type closeInput struct {
	Through string // YYYY-MM-DD; absent: everything that is finished
}

type closeAnswer struct {
	success
	Moved map[string]int64 // rows by table
}

// closePeriod moves what is finished to history: orders that are closed, cancelled or void, invoices and credit memos with nothing open, each with
// all of its rows, and the movements of stock. Deposits stay: they belong to no invoice.
func (c *clerk) closePeriod(in *closeInput) (any, error) {
	through := in.Through
	if through == "" {
		through = "9999-12-31"
	}
	if _, err := time.Parse(time.DateOnly, through); err != nil {
		return nil, refuse(http.StatusBadRequest, codeInvalid, "Through is not a date (YYYY-MM-DD)")
	}
	answer := closeAnswer{done(), map[string]int64{}}
	var orders, invoices []string
	c.all(&orders, "SELECT sono FROM somast WHERE sostat <> '' AND sodate <= ? AND lckstat <> 'L' ORDER BY id_col"+c.server.dialect.locking(), through)
	var open []struct {
		Invno   string `db:"invno"`
		Balance amount `db:"balance"`
	}
	c.all(&open, "SELECT invno, balance FROM armast WHERE invdte <= ? ORDER BY id_col"+c.server.dialect.locking(), through)
	for _, i := range open {
		if i.Balance.IsZero() {
			invoices = append(invoices, i.Invno)
		}
	}
	for _, t := range []struct {
		table, key string
		keys       []string
	}{
		{"sotran", "sono", orders}, {"soaddr", "sono", orders}, {"somast", "sono", orders},
		{"artran", "invno", invoices}, {"arcash", "invno", invoices}, {"armast", "invno", invoices},
	} {
		answer.Moved[t.table] = c.retire(t.table, t.key, t.keys)
	}
	answer.Moved["ictran"] = c.retireWhere("ictran", "tdate <= ?", through)
	return answer, c.err
}

// retire moves the rows of documents to history, some hundred documents at a time.
func (c *clerk) retire(table, key string, documents []string) int64 {
	moved := int64(0)
	for some := range slices.Chunk(documents, 500) {
		where, args, err := sqlx.In(key+" IN (?)", some)
		if err != nil {
			c.err = cmp.Or(c.err, err)
			return moved
		}
		moved += c.retireWhere(table, where, args...)
	}
	return moved
}

// retireWhere moves rows to history, and stops where it would lose or double one.
func (c *clerk) retireWhere(table, where string, args ...any) int64 {
	columns, history := c.columns(table), ""
	for _, t := range twins {
		if t.current == table {
			history = t.history
		}
	}
	list := strings.Join(columns, ", ")
	copied := c.count("INSERT INTO "+history+" ("+list+") SELECT "+list+" FROM "+table+" WHERE "+where, args...)
	removed := c.count("DELETE FROM "+table+" WHERE "+where, args...)
	if c.err == nil && copied != removed {
		c.err = fmt.Errorf("%d rows of %s were copied to history, %d removed", copied, table, removed)
	}
	return copied
}

// columns names the columns of a table.
func (c *clerk) columns(table string) []string {
	if c.err != nil {
		return nil
	}
	rows, err := c.tx.QueryContext(c.ctx, "SELECT * FROM "+table+" WHERE 1 = 0")
	if err != nil {
		c.err = err
		return nil
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	c.err = cmp.Or(err, rows.Err())
	return columns
}

// count runs a statement and gives the number of rows that it touched.
func (c *clerk) count(query string, args ...any) int64 {
	if c.err != nil {
		return 0
	}
	result, err := c.tx.ExecContext(c.ctx, c.tx.Rebind(query), args...)
	if err != nil {
		c.err = fmt.Errorf("%.60s...: %w", query, err)
		return 0
	}
	rows, err := result.RowsAffected()
	c.err = err
	return rows
}
