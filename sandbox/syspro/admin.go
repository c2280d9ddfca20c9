package syspro

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tenderline/tenderline/sandbox/control"
)

// mountControl adds the sandbox's own routes: the clerk's side of the ERP, which the facade doesn't offer.
func (s *Server) mountControl(mux *http.ServeMux) {
	s.control.Mount(mux, control.Hooks{Reset: s.reset, Ledger: s.ledger})
	admin(s, mux, "credit-memos", s.clerkCreditMemo)
	admin(s, mux, "shipments", s.clerkShipment)
	admin(s, mux, "orders", s.clerkOrder)
	admin(s, mux, "late", s.commitLate)
	admin(s, mux, "stock", s.setStock)
	admin(s, mux, "periods", s.setPeriods)
	admin(s, mux, "customers", s.setCustomer)
	mux.HandleFunc("GET "+control.Prefix+"trial-balance", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.RLock()
		balance := s.state.trialBalance()
		s.mu.RUnlock()
		control.WriteJSON(w, http.StatusOK, balance)
	})
}

// admin serves a control mutation: the same checks as the facade's, without credentials and idempotency key.
func admin[I any](s *Server, mux *http.ServeMux, name string, run operation[I]) {
	mux.HandleFunc("POST "+control.Prefix+name, func(w http.ResponseWriter, r *http.Request) {
		in := new(I)
		if err := control.ReadJSON(r, in); err != nil {
			control.Refuse(w, http.StatusBadRequest, err)
			return
		}
		status := http.StatusOK
		raw, p := func() ([]byte, *problem) {
			s.mu.Lock()
			defer s.mu.Unlock()
			c := newChange(s.config.Clock().UTC())
			code, answer, p := run(c, in)
			if p != nil {
				return nil, p.freeze()
			}
			status = code
			if err := s.commit(c); err != nil {
				return nil, refuse(http.StatusInternalServerError, codeERPError, "the change could not be stored")
			}
			return encode(answer)
		}()
		if p != nil {
			p.write(w)
			return
		}
		writeRaw(w, status, raw)
	})
}

func (s *Server) reset() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.log.Truncate(); err != nil {
		return err
	}
	s.state = newState(s.config.Resolution)
	return nil
}

// ledger is GET /_sandbox/ledger, in the order in which things came to be. It is encoded under the lock.
func (s *Server) ledger() any {
	s.mu.RLock()
	defer s.mu.RUnlock()
	raw, p := encode(map[string]any{
		"salesOrders": s.state.orders.rows(), "customers": s.state.customers.rows(), "invoices": s.state.invoices.rows(),
		"payments": s.state.payments.rows(), "creditMemos": s.state.creditMemos.rows(), "journals": s.state.journals.rows(),
		"apInvoices": s.state.apInvoices.rows(), "stock": s.state.stock.rows(), "shipments": s.state.shipments.rows(),
		"postings": append([]*posting{}, s.state.postings...),
	})
	if p != nil {
		return map[string]any{}
	}
	return raw
}

// rows gives all rows, never nil, so that JSON shows a list.
func (t *table[T]) rows() []*T { return append([]*T{}, t.all...) }

type clerkMemoInput struct {
	creditMemoInput
	SalesOrder, OrderNumber string // instead of OriginalInvoice
	Restock                 bool   // everything that the order shipped comes back
}

// clerkCreditMemo is a return that a clerk books: from an order alone, it credits what is left of its invoice.
func (s *Server) clerkCreditMemo(c *change, in *clerkMemoInput) (int, any, *problem) {
	if in.OriginalInvoice == "" && (in.SalesOrder != "" || in.OrderNumber != "") {
		o, p := s.state.findOrder(in.SalesOrder, in.OrderNumber, in.CustomerCode)
		if p != nil {
			return 0, nil, p
		}
		in.OriginalInvoice = o.LastInvoice
		if o.LastInvoice == "" {
			return 0, nil, unprocessable(codeInvoiceUnknown, "sales order '%s' is not invoiced", o.SalesOrder)
		}
	}
	if original := s.state.invoices.get(in.OriginalInvoice); original != nil {
		s.fillMemo(in, original)
	}
	if in.CreditDate == "" {
		in.CreditDate = c.now.Format("2006-01-02")
	}
	if in.Reason == "" {
		in.Reason = "RETURN"
	}
	return s.addCreditMemo(c, &in.creditMemoInput)
}

func (s *Server) fillMemo(in *clerkMemoInput, original *invoice) {
	in.CustomerCode, in.Currency = original.CustomerCode, original.Currency
	if !in.Amount.set() {
		rest := original.InvoiceTotal.Sub(original.Credited.Decimal)
		in.Amount = numeric{rest.String()}
		if !in.TaxAmount.set() && original.Credited.IsZero() {
			in.TaxAmount = numeric{original.TaxAmount.String()}
		}
	}
	o := s.state.orders.get(original.SalesOrder)
	if !in.Restock || o == nil || len(in.RestockLines) > 0 {
		return
	}
	for _, l := range o.LineItems {
		if l.QuantityShipped.IsPositive() {
			in.RestockLines = append(in.RestockLines, restockInput{SalesOrderLine: l.SalesOrderLine, StockCode: l.StockCode, Quantity: numeric{l.QuantityShipped.String()}})
		}
	}
}

type clerkShipmentInput struct {
	shipmentInput
	Invoice bool // also invoices the order, where it is shipped whole
}

func (s *Server) clerkShipment(c *change, in *clerkShipmentInput) (int, any, *problem) {
	status, answer, p := s.addShipment(c, &in.shipmentInput)
	if p != nil || !in.Invoice {
		return status, answer, p
	}
	shipped := answer.(shipmentAnswer).shipment //nolint:errcheck // what addShipment answers
	if !shipped.Partial {
		invoice := &invoiceInput{SalesOrder: shipped.SalesOrder, InvoiceDate: shipped.ShippedDate}
		if _, _, p := s.addARInvoice(c, invoice); p != nil {
			c.warn("NOT_INVOICED", "Invoice", p.faults[0].Message)
		}
	}
	return status, shipmentAnswer{c.success(), shipped}, nil
}

type clerkOrderInput struct {
	SalesOrder, OrderNumber, CustomerCode string
	Action                                string // Hold, Release, Cancel
	Reason                                string // of a hold in words, of a cancellation a code
}

// clerkOrder is a person who holds, releases or cancels an order at the ERP's own screens, under the rules of the facade.
func (s *Server) clerkOrder(c *change, in *clerkOrderInput) (int, any, *problem) {
	update := &updateInput{SalesOrder: in.SalesOrder, OrderNumber: in.OrderNumber, CustomerCode: in.CustomerCode}
	switch in.Action {
	case "Hold":
		update.Action, update.OrderStatus = "SetStatus", statusSuspense
	case "Release":
		update.Action, update.CreditAuthority = "Release", "CLERK"
	case "Cancel":
		update.Action, update.CancelReasonCode = "Cancel", in.Reason
		if in.Reason == "" {
			update.CancelReasonCode = "CLERK"
		}
	default:
		return 0, nil, refuse(http.StatusBadRequest, codeInvalid, "Action takes Hold, Release, Cancel").at("Action", in.Action)
	}
	var check checks
	check.text("Reason", in.Reason, 50)
	if p := check.problem(); p != nil {
		return 0, nil, p
	}
	status, answer, p := s.updateSalesOrder(c, update)
	if p != nil || in.Action != "Hold" || in.Reason == "" {
		return status, answer, p
	}
	held := s.state.orders.get(answer.(updateAnswer).SalesOrder) //nolint:errcheck // what updateSalesOrder answers
	held.HoldReason = in.Reason
	c.put(kindOrder, held.SalesOrder, held)
	return status, answer, nil
}

type lateInput struct {
	LagMs int // how much earlier than its commit the next change says it was made
}

// commitLate makes the next change one that was begun a while ago: it turns up in the lists behind rows that were read already.
func (s *Server) commitLate(_ *change, in *lateInput) (int, any, *problem) {
	if in.LagMs < 1 || in.LagMs > int(time.Hour/time.Millisecond) {
		return 0, nil, refuse(http.StatusBadRequest, codeInvalid, "LagMs takes 1 to 3600000").at("LagMs", "")
	}
	s.state.lag = time.Duration(in.LagMs) * time.Millisecond
	return http.StatusOK, lookedUp(), nil
}

type periodInput struct {
	Module                     string // GL, AR, AP; "" is all
	CurrentYear, CurrentPeriod int    // absent: as it is
	Open                       []string
	FollowClock                bool // undoes an earlier setting
}

// setPeriods opens, closes and moves periods.
func (s *Server) setPeriods(c *change, in *periodInput) (int, any, *problem) {
	var check checks
	check.oneOf("Module", in.Module, modules[:]...)
	for i, open := range in.Open {
		if open == "" {
			check.add(codeInvalid, fmt.Sprintf("Open[%d]", i), "Open takes C, P, B")
		}
		check.oneOf(fmt.Sprintf("Open[%d]", i), open, "C", "P", "B")
	}
	if in.CurrentPeriod < 0 || in.CurrentPeriod > 12 || in.CurrentYear < 0 || in.CurrentYear > 9999 {
		check.add(codeInvalid, "CurrentPeriod", "CurrentPeriod takes 1 to 12")
	}
	if p := check.problem(); p != nil {
		return 0, nil, p
	}
	for _, m := range modules {
		if in.Module != "" && in.Module != m {
			continue
		}
		if in.FollowClock {
			s.state.periods.remove(m)
			c.put(kindPeriod, m, nil)
			continue
		}
		row, _ := s.period(m)
		if in.CurrentYear != 0 {
			row.CurrentYear = in.CurrentYear
		}
		if in.CurrentPeriod != 0 {
			row.CurrentPeriod = in.CurrentPeriod
		}
		if in.Open != nil {
			row.Open = in.Open
		}
		s.state.periods.add(m, &row)
		c.put(kindPeriod, m, &row)
	}
	answer, p := s.getPeriodStatus(nil)
	return http.StatusOK, answer, p
}

func (t *table[T]) remove(k string) {
	row, known := t.byKey[t.normal(k)]
	if !known {
		return
	}
	delete(t.byKey, t.normal(k))
	for i, r := range t.all {
		if r == row {
			t.all = append(t.all[:i:i], t.all[i+1:]...)
			return
		}
	}
}

type clerkCustomerInput struct {
	customerInput
	OnHold       *bool
	CreditStatus *string
}

// setCustomer adds or changes a customer, with what only the ERP's own people set: hold and credit status.
func (s *Server) setCustomer(c *change, in *clerkCustomerInput) (int, any, *problem) {
	var check checks
	check.oneOf("CreditStatus", value(in.CreditStatus), "0", "1", "2", "3", "4", "5", "6", "9")
	if p := check.problem(); p != nil {
		return 0, nil, p
	}
	if existing := s.state.customers.get(in.CustomerCode); existing == nil && in.Name == nil {
		name := strings.TrimSpace(in.CustomerCode)
		in.Name = &name
	}
	status, answer, p := s.addCustomer(c, &in.customerInput)
	if p != nil {
		return 0, nil, p
	}
	row := s.state.customers.get(answer.(customerAnswer).CustomerCode) //nolint:errcheck // what addCustomer answers
	if in.OnHold != nil {
		row.OnHold = *in.OnHold
	}
	if in.CreditStatus != nil {
		row.CreditStatus = *in.CreditStatus
	}
	c.put(kindCustomer, row.CustomerCode, row)
	return status, customerView{c.success(), row, money(row.availableCredit(), row.Currency)}, nil
}
