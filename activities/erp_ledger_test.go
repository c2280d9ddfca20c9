package activities_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/settlement"
	"github.com/tenderline/tenderline/mappings"
)

// row is a category of a settlement day with its amount.
type row struct {
	category canonical.SettlementCategory
	amount   string
}

// day maps the journal of a settlement day.
func (b *books) day(t *testing.T, mode settlement.Mode, date string, rows ...row) canonical.JournalEntry {
	t.Helper()
	in := mappings.Input{Date: date, Settlement: canonical.Settlement{MerchantID: "demo_mid", Date: date, Currency: "USD", BatchID: "BATCH77"}}
	for _, r := range rows {
		in.Settlement.Lines = append(in.Settlement.Lines, canonical.SettlementLine{Category: r.category, Amount: dec(r.amount)})
	}
	mapping, err := b.booking.Mappings.Mapping(mode.Mapping())
	require.NoError(t, err)
	document, err := mapping.Apply(in)
	require.NoError(t, err)
	require.False(t, document.Skipped)
	entry, err := settlement.Entry(document.Body, "")
	require.NoError(t, err)
	return entry
}

// posting asks for a journal of a settlement day.
func posting(entry canonical.JournalEntry) activities.PostJournalInput {
	return activities.PostJournalInput{Merchant: "demo_mid", Date: entry.Date, Entry: entry, ClosedPeriod: activities.ClosedNextOpen, Attempt: 1}
}

// TestASettlementDayReachesTheLedgerOnce: in mode detail it empties what the receipts put into the clearing account; in mode summary it carries
// all there is.
func TestASettlementDayReachesTheLedgerOnce(t *testing.T) {
	for _, mode := range lossy {
		t.Run("detail/"+mode, func(t *testing.T) {
			b := newBooks(t, "A100", "2")
			order := b.sell(t, false)
			invoice := b.invoice(t, order.Number)
			b.receive(t, order.Number, invoice.Number)
			in := posting(b.day(t, settlement.ModeDetail, b.today(), row{"sale", "48.19"}, row{"fee_interchange", "1.20"}, row{"fee_per_item", "0.10"}))
			if mode != "" {
				b.fails(t, "GLJournalService/AddJournalEntry", mode)
			}
			posted := must(t, b.bank, b.booking.PostJournal, in)
			require.Equal(t, in.Entry.Reference, posted.Reference)
			require.NotEmpty(t, posted.Number)
			require.Empty(t, posted.Warning)
			require.Equal(t, posted, must(t, b.bank, b.booking.PostJournal, in))
			require.Len(t, b.ledger(t, "journals"), 1)
			require.Equal(t, map[string]string{"1051": "46.89", "6100": "1.30", "1300": "-25.00", "5000": "25.00", "4000": "-44.90", "2200": "-3.29"}, b.accounts(t))
			stored, err := b.booking.Operations.Get(t.Context(), "settlement:demo_mid/"+b.today()+":journal-"+posted.Reference+":1")
			require.NoError(t, err)
			require.Equal(t, journal.OperationSucceeded, stored.State)
		})
	}
	t.Run("summary", func(t *testing.T) {
		b := newBooks(t, "A100", "2")
		entry := b.day(t, settlement.ModeSummary, b.today(), row{"sale", "12480.00"}, row{"refund", "635.50"}, row{"chargeback", "210.00"},
			row{"chargeback_fee", "25.00"}, row{"fee", "362.18"}, row{"suspense", "1.00"})
		must(t, b.bank, b.booking.PostJournal, posting(entry))
		require.Equal(t, map[string]string{"4000": "-12480.00", "4900": "635.50", "1210": "210.00", "6120": "25.00", "6100": "362.18", "1999": "1.00", "1051": "11246.32"}, b.accounts(t))
		next := b.day(t, settlement.ModeSummary, b.clock.Now().AddDate(0, 0, -1).Format(time.DateOnly), row{"deposit", "11246.32"})
		must(t, b.bank, b.booking.PostJournal, posting(next))
		accounts := b.accounts(t)
		require.Empty(t, accounts["1051"], "the money is not in transit any more")
		require.Equal(t, "11246.32", accounts["1010"])
	})
}

// TestAJournalThatIsThereAlready is adopted where it moves the same, whoever posted it.
func TestAJournalThatIsThereAlready(t *testing.T) {
	b := newBooks(t, "A100", "2")
	in := posting(b.day(t, settlement.ModeDetail, b.today(), row{"sale", "48.19"}, row{"fee", "1.30"}))
	posted := must(t, b.bank, b.booking.PostJournal, in)
	again := in
	again.Attempt = 2
	require.Equal(t, posted, must(t, b.bank, b.booking.PostJournal, again))
	_, err := b.booking.Operations.Get(t.Context(), "settlement:demo_mid/"+b.today()+":journal-"+posted.Reference+":2")
	require.ErrorIs(t, err, journal.ErrNotFound, "nothing was even begun")

	elsewhere := in
	elsewhere.Merchant = "other_mid" // whose operations know nothing of it
	require.Equal(t, posted, must(t, b.bank, b.booking.PostJournal, elsewhere))

	other := posting(b.day(t, settlement.ModeDetail, b.today(), row{"sale", "48.20"}, row{"fee", "1.30"}))
	for _, attempt := range []int{1, 2} {
		other.Attempt = attempt
		_, err := finish(b.bank, b.booking.PostJournal, other)
		requireFault(t, err, fault.Conflict, true)
	}
	swapped := posting(b.day(t, settlement.ModeDetail, b.today(), row{"sale", "48.19"}, row{"chargeback_fee", "1.30"}))
	swapped.Merchant = "third_mid"
	_, err = finish(b.bank, b.booking.PostJournal, swapped)
	requireFault(t, err, fault.Conflict, true)
	require.Len(t, b.ledger(t, "journals"), 1)
}

// TestAJournalThatWasRefusedIsPostedCorrected: a day that runs anew counts its attempts from the beginning.
func TestAJournalThatWasRefusedIsPostedCorrected(t *testing.T) {
	b := newBooks(t, "A100", "2")
	good := posting(b.day(t, settlement.ModeDetail, b.today(), row{"sale", "48.19"}))
	bad := good
	bad.Entry.Lines = append([]canonical.JournalLine{}, good.Entry.Lines...)
	bad.Entry.Lines[0].Account = "6999"
	_, err := finish(b.bank, b.booking.PostJournal, bad)
	requireFault(t, err, fault.DeclinedByPolicy, true)
	_, err = finish(b.bank, b.booking.PostJournal, bad)
	requireFault(t, err, fault.DeclinedByPolicy, true)
	require.NotEmpty(t, must(t, b.bank, b.booking.PostJournal, good).Number)
	require.Len(t, b.ledger(t, "journals"), 1)
}

// TestAClosedPeriod: by policy a journal moves into the current period with its own date in its text, or waits; it never goes into a period to
// come.
func TestAClosedPeriod(t *testing.T) {
	b := newBooks(t, "A100", "2")
	now := b.clock.Now()
	before := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, -1).Format(time.DateOnly)
	b.clerk(t, "periods", map[string]any{"Module": "GL", "Open": []string{"C"}})

	parked := posting(b.day(t, settlement.ModeDetail, before, row{"sale", "48.19"}))
	parked.ClosedPeriod = activities.ClosedPark
	_, err := finish(b.bank, b.booking.PostJournal, parked)
	requireFault(t, err, fault.ClosedPeriod, true)
	future := posting(b.day(t, settlement.ModeDetail, now.AddDate(0, 2, 0).Format(time.DateOnly), row{"sale", "48.19"}))
	_, err = finish(b.bank, b.booking.PostJournal, future)
	requireFault(t, err, fault.ClosedPeriod, true)
	require.Empty(t, b.ledger(t, "journals"))

	moved := parked
	moved.ClosedPeriod = activities.ClosedNextOpen
	b.fails(t, "GLJournalService/AddJournalEntry", "drop_after")
	posted := must(t, b.bank, b.booking.PostJournal, moved)
	require.Equal(t, fmt.Sprintf("posted on %s, it is of %s", b.today(), before), posted.Warning)
	entry := b.ledger(t, "journals")[0]
	require.Equal(t, b.today(), entry["JournalDate"])
	require.Contains(t, entry["Description"], before)
	b.clerk(t, "periods", map[string]any{"Module": "GL", "FollowClock": true})
	require.Equal(t, posted, must(t, b.bank, b.booking.PostJournal, moved), "it is not posted once more when the period opens")

	// A person names another date.
	corrected := posting(b.day(t, settlement.ModeDetail, now.AddDate(0, 0, -1).Format(time.DateOnly), row{"sale", "10.00"}))
	corrected.Entry.Reference, corrected.PostingDate = "CYBCORRECTED", b.today()
	corrected.Entry.Description = strings.Repeat("x", 60)
	posted = must(t, b.bank, b.booking.PostJournal, corrected)
	require.NotEmpty(t, posted.Warning)
	entry = b.ledger(t, "journals")[1]
	require.Equal(t, b.today(), entry["JournalDate"])
	require.Len(t, entry["Description"], 50)
	require.True(t, strings.HasSuffix(entry["Description"].(string), " of "+corrected.Entry.Date))

	// A period that closes between the question and the posting.
	late := posting(b.day(t, settlement.ModeDetail, b.today(), row{"sale", "11.00"}))
	late.Entry.Reference = "CYBLATE"
	b.clerk(t, "faults", map[string]any{"route": "POST /APIServices/GLJournalService/AddJournalEntry", "mode": "status", "status": 422, "reason": "PERIOD_CLOSED", "times": 1})
	_, err = finish(b.bank, b.booking.PostJournal, late)
	requireFault(t, err, fault.ClosedPeriod, true)
	late.Attempt = 2
	require.NotEmpty(t, must(t, b.bank, b.booking.PostJournal, late).Number)
}

// disputed is a dispute of an order's payment, with its receipt in the ledger as settlement books it.
func (b *books) disputed(t *testing.T) activities.BookChargebackInput {
	t.Helper()
	order := b.sell(t, false)
	invoice := b.invoice(t, order.Number)
	b.receive(t, order.Number, invoice.Number)
	must(t, b.bank, b.booking.PostJournal, posting(b.day(t, settlement.ModeDetail, b.today(), row{"sale", "48.19"})))
	yesterday := b.clock.Now().AddDate(0, 0, -1).Format(time.DateOnly)
	must(t, b.bank, b.booking.PostJournal, posting(b.day(t, settlement.ModeDetail, yesterday, row{"chargeback", "48.19"}, row{"chargeback_fee", "25.00"})))
	return activities.BookChargebackInput{
		OrderID: b.order.OrderID, SalesOrder: order.Number, Invoice: invoice.Number, Site: site(), Date: b.today(), Attempt: 1,
		Case: activities.ChargebackCase{ID: "FC-7001-2026-000000000000000042", TransactionID: captureID, Amount: usd("48.19"), Reason: "10.4"},
	}
}

func TestADisputeEndsInTheLedgerOnce(t *testing.T) {
	goods := map[string]string{"1300": "-25.00", "5000": "25.00", "4000": "-44.90", "2200": "-3.29", "6120": "25.00"}
	for _, outcome := range []activities.ChargebackOutcome{activities.ChargebackLost, activities.ChargebackWon} {
		for _, mode := range lossy {
			t.Run(string(outcome)+"/"+mode, func(t *testing.T) {
				b := newBooks(t, "A100", "2")
				in := b.disputed(t)
				require.NoError(t, b.ended(t, b.booking.TagChargeback, in))
				require.Equal(t, "ChargedBack", b.paymentStatus(t))
				require.Equal(t, "48.19", b.accounts(t)["1210"], "the money is a receivable")

				in.Outcome = outcome
				if mode != "" {
					b.fails(t, "GLJournalService/AddJournalEntry", mode)
					b.fails(t, "ARPaymentService/UpdatePaymentStatus", mode)
				}
				booked := must(t, b.bank, b.booking.BookChargeback, in)
				require.Equal(t, activities.UndoDone, booked.Result)
				in.Attempt = 2
				require.Equal(t, booked, must(t, b.bank, b.booking.BookChargeback, in))
				require.NoError(t, b.ended(t, b.booking.TagChargeback, in))
				journals := b.ledger(t, "journals")
				require.Len(t, journals, 3)
				reference := journals[2]["Reference"].(string)
				require.True(t, strings.HasPrefix(reference, "CB-FC-7001-") && len(reference) <= 30, reference)
				require.Equal(t, booked.Document, journals[2]["JournalNumber"])

				want := map[string]string{"1051": "-25.00"}
				if outcome == activities.ChargebackLost {
					want["6110"] = "48.19"
					require.Equal(t, "ChargedBack", b.paymentStatus(t))
				} else {
					require.Equal(t, "ChargebackReversed", b.paymentStatus(t))
					require.Equal(t, "48.19", b.accounts(t)["1050"], "the processor owes it again")
					back := b.day(t, settlement.ModeDetail, b.clock.Now().AddDate(0, 0, -2).Format(time.DateOnly), row{"chargeback_reversal", "48.19"})
					must(t, b.bank, b.booking.PostJournal, posting(back))
					want["1051"] = "23.19"
				}
				for account, balance := range goods {
					want[account] = balance
				}
				require.Equal(t, want, b.accounts(t))

				other := in
				other.Outcome = map[activities.ChargebackOutcome]activities.ChargebackOutcome{
					activities.ChargebackLost: activities.ChargebackWon, activities.ChargebackWon: activities.ChargebackLost,
				}[outcome]
				_, err := finish(b.bank, b.booking.BookChargeback, other)
				requireFault(t, err, fault.Conflict, true)
			})
		}
	}
}

// TestADisputeThatGoesOnIsBookedOnTop: whatever it was decided first, and whether the money was taken again or not, the books end up with what
// really moved, and each cycle has a journal of its own.
func TestADisputeThatGoesOnIsBookedOnTop(t *testing.T) {
	won, lost := activities.ChargebackWon, activities.ChargebackLost
	for name, test := range map[string]struct {
		first, later activities.ChargebackOutcome
		retaken      bool
		rows         []row // of settlement days after the first end
		want         map[string]string
	}{
		"won and paid back, taken again and lost": {won, lost, true, []row{{"chargeback_reversal", "48.19"}, {"chargeback", "48.19"}}, map[string]string{"6110": "48.19", "1051": "-25.00"}},
		"won and not paid back yet, lost":         {won, lost, false, nil, map[string]string{"6110": "48.19", "1051": "-25.00"}},
		"lost, won and paid back":                 {lost, won, false, []row{{"chargeback_reversal", "48.19"}}, map[string]string{"1051": "23.19"}},
		"won and paid back, taken again and won":  {won, won, true, []row{{"chargeback_reversal", "48.19"}, {"chargeback", "48.19"}}, map[string]string{"1050": "48.19", "1051": "-25.00"}},
	} {
		for _, mode := range lossy {
			t.Run(name+"/"+mode, func(t *testing.T) {
				b := newBooks(t, "A100", "2")
				in := b.disputed(t)
				in.Outcome, in.Cycle = test.first, 1
				first := must(t, b.bank, b.booking.BookChargeback, in)
				require.NoError(t, b.ended(t, b.booking.TagChargeback, in))
				for i, r := range test.rows {
					of := b.clock.Now().AddDate(0, 0, -2-i).Format(time.DateOnly)
					must(t, b.bank, b.booking.PostJournal, posting(b.day(t, settlement.ModeDetail, of, r)))
				}
				again := in
				again.Cycle, again.Former, again.Outcome, again.Retaken, again.Attempt = 2, test.first, test.later, test.retaken, 1
				if mode != "" {
					b.fails(t, "GLJournalService/AddJournalEntry", mode)
				}
				booked := must(t, b.bank, b.booking.BookChargeback, again)
				require.NotEqual(t, first.Document, booked.Document, "a journal of its own")
				require.Equal(t, booked, must(t, b.bank, b.booking.BookChargeback, again))
				again.Attempt = 2
				require.Equal(t, booked, must(t, b.bank, b.booking.BookChargeback, again))
				require.Equal(t, first, must(t, b.bank, b.booking.BookChargeback, in), "nor is the first one booked again")
				require.NoError(t, b.ended(t, b.booking.TagChargeback, again))
				require.Equal(t, map[activities.ChargebackOutcome]string{lost: "ChargedBack", won: "ChargebackReversed"}[test.later], b.paymentStatus(t))

				for account, balance := range map[string]string{"1300": "-25.00", "5000": "25.00", "4000": "-44.90", "2200": "-3.29", "6120": "25.00"} {
					test.want[account] = balance
				}
				require.Equal(t, test.want, b.accounts(t))
			})
		}
	}
	t.Run("the same again, without the money", func(t *testing.T) {
		b := newBooks(t, "A100", "2")
		in := b.disputed(t)
		in.Outcome, in.Cycle, in.Former = lost, 2, lost
		_, err := finish(b.bank, b.booking.BookChargeback, in)
		requireFault(t, err, fault.Bug, true)
	})
}

func TestADisputeThatMovesNothing(t *testing.T) {
	b := newBooks(t, "A100", "2")
	in := activities.BookChargebackInput{Case: activities.ChargebackCase{ID: "1", Amount: usd("5.00"), Retrieval: true}, Outcome: activities.ChargebackLost, Date: b.today(), Attempt: 1}
	require.Equal(t, activities.UndoNothing, must(t, b.bank, b.booking.BookChargeback, in).Result)
	require.NoError(t, b.ended(t, b.booking.TagChargeback, in), "nothing in the ERP is of it")
	in.Case.Retrieval, in.Outcome = false, activities.ChargebackOpen
	_, err := finish(b.bank, b.booking.BookChargeback, in)
	requireFault(t, err, fault.Bug, true)

	b.clerk(t, "periods", map[string]any{"Module": "GL", "Open": []string{"C"}})
	in.Outcome, in.Date = activities.ChargebackLost, b.clock.Now().AddDate(0, -1, 0).Format(time.DateOnly)
	_, err = finish(b.bank, b.booking.BookChargeback, in)
	requireFault(t, err, fault.ClosedPeriod, true)
	in.Date = b.today()
	require.Equal(t, activities.UndoDone, must(t, b.bank, b.booking.BookChargeback, in).Result, "a person names another date")
}

// fees is the processor's invoice of a day.
func (b *books) fees(t *testing.T, date string) activities.PostInvoiceInput {
	t.Helper()
	mapping, err := b.booking.Mappings.Mapping("gl/fee_invoice")
	require.NoError(t, err)
	number, err := settlement.FeeReference(date, "USD", "", 0)
	require.NoError(t, err)
	document, err := mapping.Apply(mappings.Input{
		Date: date, Credit: mappings.Credit{Reference: number, Amount: dec("387.18")},
		Settlement: canonical.Settlement{Date: date, Currency: "USD", Lines: []canonical.SettlementLine{
			{Category: "fee", Amount: dec("362.18")}, {Category: canonical.SettlementChargebackFee, Amount: dec("25.00")},
		}},
	})
	require.NoError(t, err)
	return activities.PostInvoiceInput{
		Merchant: "demo_mid", Date: date, Attempt: 1,
		Invoice: activities.PlannedInvoice{Supplier: "CYBSRC", Number: number, Amount: usd("387.18"), Document: document},
	}
}

func TestTheFeesOfADayAreInvoicedOnce(t *testing.T) {
	for _, mode := range lossy {
		t.Run(mode, func(t *testing.T) {
			b := newBooks(t, "A100", "2")
			in := b.fees(t, b.today())
			if mode != "" {
				b.fails(t, "APInvoiceService/AddAPInvoice", mode)
			}
			posted := must(t, b.bank, b.booking.PostFeeInvoice, in)
			require.Equal(t, in.Invoice.Number, posted.Reference)
			require.NotEmpty(t, posted.Number)
			require.Equal(t, posted, must(t, b.bank, b.booking.PostFeeInvoice, in))
			in.Attempt = 2
			require.Equal(t, posted.Reference, must(t, b.bank, b.booking.PostFeeInvoice, in).Reference)
			require.Len(t, b.ledger(t, "apInvoices"), 1)
			require.Equal(t, map[string]string{"6100": "362.18", "6120": "25.00", "2100": "-387.18"}, b.accounts(t))

			other := in
			other.Attempt, other.Invoice.Amount = 3, usd("387.19")
			_, err := finish(b.bank, b.booking.PostFeeInvoice, other)
			requireFault(t, err, fault.Conflict, true)
		})
	}
	t.Run("on another date", func(t *testing.T) {
		b := newBooks(t, "A100", "2")
		closed := b.clock.Now().AddDate(0, -4, 0).Format(time.DateOnly)
		in := b.fees(t, closed)
		_, err := finish(b.bank, b.booking.PostFeeInvoice, in)
		requireFault(t, err, fault.ClosedPeriod, true)
		in.Attempt, in.PostingDate = 2, b.today()
		posted := must(t, b.bank, b.booking.PostFeeInvoice, in)
		require.Equal(t, fmt.Sprintf("posted on %s, it is of %s", b.today(), closed), posted.Warning)
		require.Equal(t, b.today(), b.ledger(t, "apInvoices")[0]["InvoiceDate"])
		require.Equal(t, posted, must(t, b.bank, b.booking.PostFeeInvoice, in))
	})
	t.Run("another total after a refusal", func(t *testing.T) {
		b := newBooks(t, "A100", "2")
		in := b.fees(t, b.today())
		refused := in
		refused.Invoice.Amount = usd("400.00")
		refused.Invoice.Document.Body = []byte(strings.ReplaceAll(string(in.Invoice.Document.Body), "387.18", "400.00")) // does not add up
		_, err := finish(b.bank, b.booking.PostFeeInvoice, refused)
		requireFault(t, err, fault.Value, true)
		require.NotEmpty(t, must(t, b.bank, b.booking.PostFeeInvoice, in).Number, "a day that runs anew counts its attempts from the beginning")
		require.Len(t, b.ledger(t, "apInvoices"), 1)
	})
	t.Run("another total while the first may be on its way", func(t *testing.T) {
		b := newBooks(t, "A100", "2")
		in := b.fees(t, b.today())
		b.fails(t, "APInvoiceService/AddAPInvoice", "drop_before")
		_, err := try(b.bank, b.booking.PostFeeInvoice, in)
		require.Error(t, err)
		other := in
		other.Invoice.Amount = usd("400.00")
		_, err = try(b.bank, b.booking.PostFeeInvoice, other)
		requireFault(t, err, fault.Conflict, true)
		require.Empty(t, b.ledger(t, "apInvoices"))
	})
	t.Run("the mode's two halves meet", func(t *testing.T) {
		b := newBooks(t, "A100", "2")
		must(t, b.bank, b.booking.PostFeeInvoice, b.fees(t, b.today()))
		must(t, b.bank, b.booking.PostJournal, posting(b.day(t, settlement.ModeDetail, b.today(), row{"sale", "1000.00"}, row{"fee_withheld", "387.18"})))
		require.Equal(t, map[string]string{"6100": "362.18", "6120": "25.00", "2100": "-387.18", "1055": "387.18", "1050": "-1000.00", "1051": "612.82"}, b.accounts(t),
			"the payment of the invoice out of 1055 is finance's")
	})
}

// TestFeesOfAClosedPeriod: by policy the invoice moves into the current period of payables, whatever answer is lost, or waits for a person.
func TestFeesOfAClosedPeriod(t *testing.T) {
	for _, mode := range lossy {
		t.Run(mode, func(t *testing.T) {
			b := newBooks(t, "A100", "2")
			now := b.clock.Now()
			before := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, -1).Format(time.DateOnly)
			b.clerk(t, "periods", map[string]any{"Module": "AP", "Open": []string{"C"}})

			in := b.fees(t, before)
			for _, policy := range []activities.ClosedPeriodPolicy{"", activities.ClosedPark} { // a run of before named none
				in.ClosedPeriod = policy
				_, err := finish(b.bank, b.booking.PostFeeInvoice, in)
				requireFault(t, err, fault.ClosedPeriod, true)
			}
			in.ClosedPeriod = activities.ClosedNextOpen
			future := b.fees(t, now.AddDate(0, 2, 0).Format(time.DateOnly))
			future.ClosedPeriod = activities.ClosedNextOpen
			_, err := finish(b.bank, b.booking.PostFeeInvoice, future)
			requireFault(t, err, fault.ClosedPeriod, true)
			require.Empty(t, b.ledger(t, "apInvoices"))

			if mode != "" {
				b.fails(t, "APInvoiceService/AddAPInvoice", mode)
			}
			posted := must(t, b.bank, b.booking.PostFeeInvoice, in)
			require.Equal(t, fmt.Sprintf("posted on %s, it is of %s", b.today(), before), posted.Warning)
			require.Equal(t, posted, must(t, b.bank, b.booking.PostFeeInvoice, in))
			invoices := b.ledger(t, "apInvoices")
			require.Len(t, invoices, 1)
			require.Equal(t, []any{b.today(), in.Invoice.Number, "CYB" + strings.ReplaceAll(before, "-", "") + "USD"},
				[]any{invoices[0]["InvoiceDate"], invoices[0]["InvoiceNumber"], invoices[0]["Reference"]}, "what it is of stays on it")
		})
	}
	t.Run("an open period of the ledger is none of payables", func(t *testing.T) {
		b := newBooks(t, "A100", "2")
		b.clerk(t, "periods", map[string]any{"Module": "GL", "Open": []string{"C"}})
		now := b.clock.Now()
		before := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, -1).Format(time.DateOnly)
		posted := must(t, b.bank, b.booking.PostFeeInvoice, b.fees(t, before))
		require.Empty(t, posted.Warning, "last month is open there")
	})
}

func (b *books) settledOrder(salesOrder string) activities.SettledOrder {
	return activities.SettledOrder{OrderID: b.order.OrderID, SalesOrder: salesOrder, TransactionID: captureID, Amount: b.order.Money(b.order.Total)}
}

func TestOrdersAreShownAsPaid(t *testing.T) {
	for _, mode := range lossy {
		t.Run(mode, func(t *testing.T) {
			b := newBooks(t, "A100", "2")
			order := b.sell(t, false)
			unknown := b.settledOrder("999999")
			unknown.OrderID = "WEB-9"
			nowhere := b.settledOrder("")
			in := activities.ShowPaidInput{Date: b.today(), Orders: []activities.SettledOrder{unknown, nowhere, b.settledOrder(order.Number)}, Attempt: 1}
			if mode != "" {
				b.fails(t, "ARPaymentService/UpdatePaymentStatus", mode)
			}
			require.NoError(t, b.ended(t, b.booking.ShowPaid, in))
			require.Equal(t, "Paid", b.paymentStatus(t))
			require.NoError(t, b.ended(t, b.booking.ShowPaid, in))
		})
	}
}

// TestShowingOrdersAsPaidGoesOn where the try before it was.
func TestShowingOrdersAsPaidGoesOn(t *testing.T) {
	b := newBooks(t, "A100", "2")
	order := b.sell(t, false)
	in := activities.ShowPaidInput{Date: b.today(), Orders: []activities.SettledOrder{b.settledOrder(order.Number), b.settledOrder("999999")}, Attempt: 1}
	b.env.SetHeartbeatDetails(map[string]int{"Next": 1})
	require.NoError(t, b.ended(t, b.booking.ShowPaid, in))
	require.Equal(t, "Captured", b.paymentStatus(t), "what was done before is not done again")
}

// TestAnOrderThatIsMoreThanPaidStaysSo: a refund or a dispute that the ERP shows is not painted over.
func TestAnOrderThatIsMoreThanPaidStaysSo(t *testing.T) {
	b := newBooks(t, "A100", "2")
	in := b.disputed(t)
	require.NoError(t, b.ended(t, b.booking.TagChargeback, in))
	paid := activities.ShowPaidInput{Date: b.today(), Orders: []activities.SettledOrder{b.settledOrder(in.SalesOrder)}, Attempt: 1}
	require.NoError(t, b.ended(t, b.booking.ShowPaid, paid))
	require.Equal(t, "ChargedBack", b.paymentStatus(t))
}
