package workflows_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/workflows"
)

// people is the part of the world in which people decide and correct.
type people struct {
	reviews  []activities.OpenReviewInput
	notes    []activities.NoteReviewInput
	decided  []activities.DecideCaseInput
	marked   []activities.MarkCustomerInput
	rumour   canonical.FraudDecision // what the gateway says when it is asked, whatever it has decided; "": what it has decided
	unknown  map[string]bool         // stock codes that the ERP does not know
	fixes    []activities.Fix        // what the ERP suggests
	asked    []activities.SuggestFixInput
	added    map[string][]activities.Fix // suggestions by parked item
	wishes   []activities.CorrectOrderInput
	checked  []activities.CheckCustomerInput
	posted   []activities.BookingInput // invoices and receipts asked for
	parkings []activities.ParkInput    // all, in order
	saved    string                    // customer token that the gateway makes of a card that is to be saved
}

func newPeople() people {
	return people{unknown: map[string]bool{}, added: map[string][]activities.Fix{}}
}

// stocked refuses a stock code that the ERP does not know.
func (w *world) stocked(code string) error {
	if !w.unknown[code] {
		return nil
	}
	return temporal.NewNonRetryableApplicationError("stock code "+code+" is unknown", string(fault.MissingReference), nil,
		activities.FaultDetail{System: "erp-syspro", Code: "STOCK_NOT_FOUND", Fields: []fault.Field{{Path: "lines[0].sku", Rule: "known"}}})
}

func (f *fakeLedger) OpenReview(ctx context.Context, in activities.OpenReviewInput) (activities.OpenedReview, error) {
	if err := f.w.enter(ctx); err != nil {
		return activities.OpenedReview{}, err
	}
	f.w.reviews = append(f.w.reviews, in)
	return activities.OpenedReview{Summary: "Risk score 87."}, nil
}

func (f *fakeLedger) NoteReview(ctx context.Context, in activities.NoteReviewInput) error {
	if err := f.w.enter(ctx); err != nil {
		return err
	}
	f.w.mutex.Lock()
	defer f.w.mutex.Unlock()
	for _, known := range f.w.notes {
		if known.Key == in.Key {
			return f.w.impossible("two notes of one key: %s", in.Key)
		}
	}
	f.w.notes = append(f.w.notes, in)
	return nil
}

func (f *fakeLedger) AddFixes(ctx context.Context, in activities.AddFixesInput) error {
	if err := f.w.enter(ctx); err != nil {
		return err
	}
	f.w.mutex.Lock()
	defer f.w.mutex.Unlock()
	f.w.added[in.ID] = in.Fixes
	return nil
}

// CorrectOrder applies corrections of the customer and of stock codes, and refuses what is no stock code with the place of the problem.
func (f *fakeOrders) CorrectOrder(ctx context.Context, in activities.CorrectOrderInput) (activities.CorrectedOrder, error) {
	f.w.wishes = append(f.w.wishes, in)
	if err := f.w.enter(ctx); err != nil {
		return activities.CorrectedOrder{}, err
	}
	out := activities.CorrectedOrder{Order: in.Order, Documents: in.Documents}
	out.Order.Lines = slices.Clone(in.Order.Lines)
	for place, value := range in.Correction.Order {
		if place == "/customer/erpCode" {
			out.Order.Customer.ErpCode, _ = value.(string)
			continue
		}
		line, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(place, "/lines/"), "/sku"))
		code, isText := value.(string)
		if err != nil || line >= len(out.Order.Lines) || !isText || code == "" {
			return activities.CorrectedOrder{}, temporal.NewNonRetryableApplicationError("the correction is refused", string(fault.Value), nil,
				activities.FaultDetail{System: "tenderline", Fields: []fault.Field{{Path: place, Rule: "a stock code"}}})
		}
		out.Order.Lines[line].SKU = code
	}
	out.Documents.SalesOrder.Version = "corrected"
	out.Order.Payment.Token = canonical.Token{} // the journal keeps no token
	return out, nil
}

// AskCase tells how the case stands, or what the gateway's list shows of it.
func (f *fakePayments) AskCase(ctx context.Context, in activities.AskCaseInput) (activities.CaseState, error) {
	if err := f.w.enter(ctx); err != nil {
		return activities.CaseState{}, err
	}
	switch {
	case in.PaymentID != f.w.pay.AuthorizationID:
		return activities.CaseState{}, f.w.impossible("asked for a payment that is not the order's: %s", in.PaymentID)
	case f.w.rumour != "":
		return activities.CaseState{Decision: f.w.rumour}, nil
	case f.w.verdict != nil:
		return activities.CaseState{Decision: f.w.verdict.Decision}, nil
	}
	return activities.CaseState{}, nil
}

func (f *fakePayments) MarkCustomer(ctx context.Context, in activities.MarkCustomerInput) error {
	if err := f.w.enter(ctx); err != nil {
		return err
	}
	f.w.marked = append(f.w.marked, in)
	return nil
}

func (f *fakeBooking) SuggestFix(ctx context.Context, in activities.SuggestFixInput) (activities.SuggestedFixes, error) {
	if err := f.w.enter(ctx); err != nil {
		return activities.SuggestedFixes{}, err
	}
	f.w.asked = append(f.w.asked, in)
	return activities.SuggestedFixes{Fixes: f.w.fixes}, nil
}

// noted are the notes of a review in order: what, and the rule where there is one.
func (w *world) noted() []string {
	names := []string{}
	for _, n := range w.notes {
		name := string(n.Note)
		if n.Rule != "" {
			name += ": " + n.Rule
		}
		names = append(names, name)
	}
	return names
}

// open are the IDs of the parked steps of a name, or of all.
func (w *world) open(steps ...string) []string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	ids := []string{}
	for _, id := range slices.Sorted(maps.Keys(w.parked)) {
		if len(steps) == 0 || slices.Contains(steps, w.parked[id].Step) {
			ids = append(ids, id)
		}
	}
	return ids
}

// later gives an answer to what is parked when a time has passed, once; no reply was given where nothing was parked.
func (w *world) later(env *testsuite.TestWorkflowEnvironment, after time.Duration, r workflows.Resolution) *reply {
	out := &reply{answer: &answer{err: fmt.Errorf("nothing was parked after %s", after)}}
	if r.Actor == "" {
		r.Actor = "olga"
	}
	env.RegisterDelayedCallback(func() {
		for _, id := range w.open() {
			r.ID = id
			out.answer = update(env, workflows.UpdateResolve, r)
		}
	}, after)
	return out
}

// reply holds an answer that is asked for later.
type reply struct{ *answer }
