package sagepro

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/sandbox/control"
)

// refusal is what the clerk's screen says to what can't be done.
type refusal struct {
	status        int
	code, message string
}

func (r *refusal) Error() string { return r.message }

func refuse(status int, code, format string, args ...any) error {
	return &refusal{status, code, fmt.Sprintf(format, args...)}
}

// Codes of refusals, those of the SYSPRO sandbox where it has the case.
const (
	codeInvalid         = "INVALID_FIELD"
	codeNotFound        = "ORDER_NOT_FOUND"
	codeCustomerUnknown = "CUSTOMER_NOT_FOUND"
	codeStockUnknown    = "STOCK_NOT_FOUND"
	codeInvoiceUnknown  = "INVOICE_NOT_FOUND"
	codeStatusConflict  = "STATUS_CONFLICT"
	codeDuplicate       = "DUPLICATE_REFERENCE"
	codeBusinessRule    = "BUSINESS_RULE"
	codeInsufficient    = "INSUFFICIENT_STOCK"
	codePeriodClosed    = "PERIOD_CLOSED"
	codeLocked          = "RECORD_LOCKED"
	codeERPError        = "ERP_ERROR"
)

// writeRefusal answers in the form of the SYSPRO sandbox.
func (s *Server) writeRefusal(w http.ResponseWriter, err error) {
	var r *refusal
	if !errors.As(err, &r) {
		s.logger.Error("sagepro sandbox", "error", err)
		r = &refusal{http.StatusInternalServerError, codeERPError, err.Error()}
	}
	control.WriteJSON(w, r.status, map[string]any{
		"Status": "Error", "Errors": []map[string]string{{"Code": r.code, "Message": r.message}},
	})
}

// success is what every answer of the clerk's begins with.
type success struct {
	Status string
}

func done() success { return success{"Success"} }

// clerk does one thing in one transaction.
type clerk struct {
	*writer
	server *Server
	now    time.Time // when it was begun, by the clock
}

// clerkCall serves a call of the clerk's: POST /_sandbox/{name}.
func clerkCall[I any](s *Server, mux *http.ServeMux, name string, run func(c *clerk, in *I) (any, error)) {
	mux.HandleFunc("POST "+control.Prefix+name, func(w http.ResponseWriter, r *http.Request) {
		in := new(I)
		if err := control.ReadJSON(r, in); err != nil {
			control.Refuse(w, http.StatusBadRequest, err)
			return
		}
		var answer any
		err := s.asClerk(r.Context(), func(c *clerk) (err error) {
			answer, err = run(c, in)
			return err
		})
		if err != nil {
			s.writeRefusal(w, err)
			return
		}
		control.WriteJSON(w, http.StatusOK, answer)
	})
}

// asClerk runs a transaction of the clerk's.
func (s *Server) asClerk(ctx context.Context, run func(c *clerk) error) error {
	if err := s.followClock(ctx); err != nil {
		return err
	}
	return s.change(ctx, func(tx *sqlx.Tx) error {
		c := &clerk{writer: &writer{ctx: ctx, tx: tx}, server: s, now: s.now()}
		if err := run(c); err != nil {
			return err
		}
		return c.err
	})
}

func (c *clerk) today() string { return c.now.Format(time.DateOnly) }

// audit is who made a row and when.
func (c *clerk) audit(r row) row {
	r["adduser"], r["adddate"], r["addtime"] = clerkUser, c.today(), c.now.Format(time.TimeOnly)
	return r
}

// locked reads one row and locks it; nothing found is false.
func (c *clerk) locked(into any, query string, args ...any) bool {
	if c.err != nil {
		return false
	}
	err := c.tx.GetContext(c.ctx, into, c.tx.Rebind(query+c.server.dialect.locking()), args...)
	if errors.Is(err, sql.ErrNoRows) {
		return false
	}
	c.err = err
	return err == nil
}

// orderNamed finds the number of the sales order that is meant: by its own number, or by the caller's.
func (c *clerk) orderNamed(salesOrder, orderNumber, customerCode string) (string, error) {
	if salesOrder != "" {
		return number(salesOrder), nil
	}
	if orderNumber == "" {
		return "", refuse(http.StatusBadRequest, codeInvalid, "SalesOrder or OrderNumber is required")
	}
	var known []string
	c.all(&known, "SELECT erpkey FROM cyb_xref WHERE company = ? AND entity = 'order' AND extref = ? AND erpkey <> ''", c.server.config.Company, orderNumber)
	if len(known) > 0 {
		return number(known[0]), c.err
	}
	query, args := "SELECT sono FROM %s WHERE ponum = ?", []any{orderNumber}
	if customerCode != "" {
		query, args = query+" AND custno = ?", append(args, code(strings.ToUpper(customerCode), custnoWidth))
	}
	var found []string
	c.all(&found, fmt.Sprintf(query, "somast")+" UNION ALL "+fmt.Sprintf(query, "soymst"), append(args, args...)...)
	switch {
	case c.err != nil:
		return "", c.err
	case len(found) == 0:
		return "", refuse(http.StatusNotFound, codeNotFound, "sales order not found")
	case len(found) > 1:
		return "", refuse(http.StatusConflict, codeStatusConflict, "%d sales orders have this number", len(found))
	}
	return number(found[0]), nil
}

// orderAndBuyer finds an order as orderNamed does, and whose it is.
func (c *clerk) orderAndBuyer(salesOrder, orderNumber, customerCode string) (sono, custno string, err error) {
	if sono, err = c.orderNamed(salesOrder, orderNumber, customerCode); err != nil {
		return "", "", err
	}
	custno, err = c.customerOf(sono)
	return sono, custno, err
}

// customerOf gives the customer of an order, current or finished, without a lock.
func (c *clerk) customerOf(sono string) (string, error) {
	var custno []string
	c.all(&custno, "SELECT custno FROM somast WHERE sono = ? UNION ALL SELECT custno FROM soymst WHERE sono = ?", sono, sono)
	if c.err != nil {
		return "", c.err
	}
	if len(custno) == 0 {
		return "", refuse(http.StatusNotFound, codeNotFound, "sales order not found")
	}
	return custno[0], nil
}

// customer locks a customer, unless somebody has it open at a screen.
func (c *clerk) customer(custno string) (*customer, error) {
	found := &customer{}
	if !c.locked(found, "SELECT "+customerColumns+" FROM arcust WHERE custno = ?", code(custno, custnoWidth)) {
		return nil, cmp.Or(c.err, refuse(http.StatusUnprocessableEntity, codeCustomerUnknown, "customer %s not found", strings.TrimSpace(custno)))
	}
	if found.Lckstat == lockedRecord {
		return nil, refuse(http.StatusLocked, codeLocked, "customer %s is in use by %s", found.Custno, found.Lckuser)
	}
	return found, nil
}

// order locks a current order, unless somebody has it open at a screen.
func (c *clerk) order(sono string) (*order, error) {
	found := &order{}
	if !c.locked(found, "SELECT "+orderColumns+" FROM somast WHERE sono = ?", sono) {
		var closed int
		c.get(&closed, "SELECT count(*) FROM soymst WHERE sono = ?", sono)
		if closed > 0 {
			return nil, refuse(http.StatusUnprocessableEntity, codeBusinessRule, "sales order %s is in history", strings.TrimSpace(sono))
		}
		return nil, cmp.Or(c.err, refuse(http.StatusNotFound, codeNotFound, "sales order not found"))
	}
	if found.Lckstat == lockedRecord {
		return nil, refuse(http.StatusLocked, codeLocked, "sales order %s is in use by %s", found.Sono, found.Lckuser)
	}
	return found, nil
}

// lines reads the lines of a current order.
func (c *clerk) lines(sono string) []*orderLine {
	var lines []*orderLine
	c.all(&lines, "SELECT "+lineColumns+" FROM sotran WHERE sono = ? ORDER BY tranlineno", sono)
	return lines
}

// stock locks items in their locations, in order, and then the items themselves.
func (c *clerk) stock(places ...place) map[place]*stock {
	sorted := slices.Clone(places)
	slices.SortFunc(sorted, place.compare)
	sorted = slices.Compact(sorted)
	kept := map[place]bool{}
	for _, p := range sorted {
		var id text
		kept[p] = c.locked(&id, "SELECT item FROM iciloc WHERE item = ? AND loctid = ?", code(p.item, itemWidth), code(p.location, loctidWidth))
	}
	found := map[place]*stock{}
	for _, p := range sorted {
		if !kept[p] {
			continue
		}
		var id text
		c.locked(&id, "SELECT item FROM icitem WHERE item = ?", code(p.item, itemWidth))
		found[p] = &stock{}
		c.get(found[p], "SELECT "+stockColumns+" FROM iciloc l JOIN icitem i ON i.item = l.item WHERE l.item = ? AND l.loctid = ?",
			code(p.item, itemWidth), code(p.location, loctidWidth))
	}
	return found
}

// move changes what is on hand and allocated of an item, with the movement that says why.
func (c *clerk) move(s *stock, onHand, allocated decimal.Decimal, document, sono string) {
	s.Onhand.Decimal, s.Alloc.Decimal = s.Onhand.Add(onHand), s.Alloc.Add(allocated)
	item, location := code(string(s.Item), itemWidth), code(string(s.Loctid), loctidWidth)
	c.update("iciloc", row{"lonhand": s.Onhand, "lsoaloc": s.Alloc}, "item = ? AND loctid = ?", item, location)
	if onHand.IsZero() {
		return
	}
	kind := "R"
	if onHand.IsNegative() {
		kind = "I"
	}
	c.insert("ictran", row{"ttranno": number(c.next(c.server.sysid("IC"), "ttranno")), "trantyp": kind, "item": item, "loctid": location,
		"tdate": c.today(), "tqty": amount{onHand.Abs()}, "tcost": s.Avgcost, "docno": document, "orgno": sono})
	var total amount
	c.get(&total, "SELECT ionhand FROM icitem WHERE item = ?", item)
	c.update("icitem", row{"ionhand": amount{total.Add(onHand)}}, "item = ?", item)
}

// owes changes what a customer owes and has on order.
func (c *clerk) owes(cu *customer, balance, onOrder decimal.Decimal) {
	cu.Balance.Decimal, cu.Onorder.Decimal = cu.Balance.Add(balance), cu.Onorder.Add(onOrder)
	c.update("arcust", row{"balance": cu.Balance, "onorder": cu.Onorder}, "custno = ?", code(string(cu.Custno), custnoWidth))
}

// counters locks counters before anything else is locked, in the order in which everybody takes them: so nobody waits in a circle.
func (c *clerk) counters(keys ...[2]string) {
	for _, k := range keys {
		var n int64
		c.locked(&n, "SELECT nextval FROM sycnext WHERE sysid = ? AND keyname = ?", c.server.sysid(k[0]), k[1])
	}
}

// Counters that the clerk takes numbers of.
var (
	invoiceCounter  = [2]string{"AR", "invno"}
	movementCounter = [2]string{"IC", "ttranno"}
)

// freeNumber takes the next number of a counter that no current or finished document has.
func (c *clerk) freeNumber(module, keyname, table, history, column string) string {
	for c.err == nil {
		n := number(c.next(c.server.sysid(module), keyname))
		var taken int
		c.get(&taken, "SELECT (SELECT count(*) FROM "+table+" WHERE "+column+" = ?) + (SELECT count(*) FROM "+history+" WHERE "+column+" = ?)", n, n)
		if taken == 0 {
			return n
		}
	}
	return number("0")
}

// openOn refuses a date whose period is closed.
func (c *clerk) openOn(module, date string) error {
	when, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return refuse(http.StatusBadRequest, codeInvalid, "%q is not a date (YYYY-MM-DD)", date)
	}
	var open []string
	c.all(&open, "SELECT isopen FROM sycperd WHERE sysid = ? AND glyear = ? AND glperiod = ?", c.server.sysid(module), when.Year(), int(when.Month()))
	if c.err != nil {
		return c.err
	}
	if len(open) == 0 || open[0] != "Y" {
		return refuse(http.StatusUnprocessableEntity, codePeriodClosed, "%s period %s is closed", module, when.Format("2006-01"))
	}
	return nil
}

// checkText refuses a text that its column does not hold.
func checkText(field, value string, width int) error {
	if len([]rune(value)) > width {
		return refuse(http.StatusBadRequest, codeInvalid, "%s takes %d characters", field, width)
	}
	return nil
}

// numeric is a number in a request: a JSON number, or a string that holds one.
type numeric struct {
	decimal.Decimal
	set bool
}

// UnmarshalJSON takes plain decimals only.
func (n *numeric) UnmarshalJSON(raw []byte) error {
	text := strings.Trim(strings.TrimSpace(string(raw)), `"`)
	if text == "null" || text == "" {
		return nil
	}
	d, err := decimal.NewFromString(text)
	if err != nil || strings.ContainsAny(text, "eE") || len(text) > 30 {
		return fmt.Errorf("%s is not a plain decimal number", strconv.Quote(text))
	}
	n.Decimal, n.set = d, true
	return nil
}
