package journal_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/settlement"
)

func settlementDaysMoveForward(t *testing.T, f *fixture) {
	_, err := f.SettlementDay(t.Context(), "demo", firstDay)
	require.ErrorIs(t, err, journal.ErrNotFound)
	record := func(p journal.SettlementProgress) {
		p.Merchant, p.Date = "demo", firstDay
		for range 2 { // told twice
			require.NoError(t, f.RecordSettlement(t.Context(), p))
		}
	}
	record(journal.SettlementProgress{State: "waiting", Why: "for the reports", Run: "run-1"})
	record(journal.SettlementProgress{Result: []byte(`{"rows":3}`)})
	record(journal.SettlementProgress{State: "approval", Why: "3 rows", Run: "run-1"})
	day, err := f.SettlementDay(t.Context(), "demo", firstDay)
	require.NoError(t, err)
	require.Equal(t, journal.SettlementRecord{
		Merchant: "demo", Date: firstDay, State: "approval", Why: "3 rows", Result: []byte(`{"rows":3}`), Runs: 1, CreatedAt: start, UpdatedAt: start,
	}, day)

	f.clock.Advance(time.Hour)
	record(journal.SettlementProgress{State: "posting", Why: "Approved", Actor: "fiona", Run: "run-1"})
	record(journal.SettlementProgress{State: "waiting", Run: "run-2"})
	day, err = f.SettlementDay(t.Context(), "demo", firstDay)
	require.NoError(t, err)
	require.Equal(t, journal.SettlementRecord{
		Merchant: "demo", Date: firstDay, State: "waiting", Result: []byte(`{"rows":3}`), Runs: 2, CreatedAt: start, UpdatedAt: start.Add(time.Hour),
	}, day, "who approved does not stand behind what comes after")
	require.Error(t, f.RecordSettlement(t.Context(), journal.SettlementProgress{Merchant: "demo", Date: "today"}))
}

// postedDaysStayPosted: whatever runs say of a day, and in whatever order its postings are kept.
func postedDaysStayPosted(t *testing.T, f *fixture) {
	generation := 0
	rapid.Check(t, func(t *rapid.T) {
		generation++
		date := time.Date(2020, 1, generation, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
		posted, told := 0, settlement.DayState("")
		for range rapid.IntRange(1, 6).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "posting") {
				one := posting(posted, fmt.Sprint(date, "-", posted))
				one.Date = date
				require.NoError(t, f.RecordPosting(context.Background(), one))
				posted++
			} else {
				told = rapid.SampledFrom(settlement.DayStates()).Draw(t, "told")
				require.NoError(t, f.RecordSettlement(context.Background(), journal.SettlementProgress{Merchant: "demo", Date: date, State: string(told)}))
			}
			day, err := f.SettlementDay(context.Background(), "demo", date)
			if told == "" {
				require.ErrorIs(t, err, journal.ErrNotFound)
				continue
			}
			require.NoError(t, err)
			require.Equal(t, string(told.Standing(posted > 0)), day.State)
			require.Equal(t, posted > 0, day.Posted)
		}
	})
}

func settlementDaysAreListed(t *testing.T, f *fixture) {
	for _, date := range []string{"2026-11-18", "2026-11-19", "2026-11-20"} {
		for _, merchant := range []string{"eu", "us"} {
			state := "posted"
			if date == "2026-11-19" {
				state = "mismatch"
			}
			require.NoError(t, f.RecordSettlement(t.Context(), journal.SettlementProgress{Merchant: merchant, Date: date, State: state}))
		}
	}
	list := func(filter journal.SettlementFilter) string {
		var days []string
		filter.Limit = 2
		for first := true; first || filter.Cursor != ""; first = false {
			page, next, err := f.SettlementDays(t.Context(), filter)
			require.NoError(t, err)
			for _, day := range page {
				days = append(days, day.Merchant+day.Date[8:])
			}
			filter.Cursor = next
		}
		return strings.Join(days, " ")
	}
	require.Equal(t, "eu20 us20 eu19 us19 eu18 us18", list(journal.SettlementFilter{}))
	require.Equal(t, "us20 us19 us18", list(journal.SettlementFilter{Merchant: "us"}))
	require.Equal(t, "eu19 us19", list(journal.SettlementFilter{State: "mismatch"}))
	require.Equal(t, "eu19 us19 eu18 us18", list(journal.SettlementFilter{From: "2026-11-18", To: "2026-11-19"}))
	for _, wrong := range []string{"?", "MDp4"} { // the second is a cursor of another list
		_, _, err := f.SettlementDays(t.Context(), journal.SettlementFilter{Cursor: wrong})
		require.ErrorIs(t, err, journal.ErrCursor)
	}
}

func settlementFilesAreKept(t *testing.T, f *fixture) {
	read := func(kind string) string {
		file, err := f.SettlementFile(t.Context(), "demo", firstDay, kind)
		require.NoError(t, err)
		defer func() { require.NoError(t, file.Close()) }()
		text, err := io.ReadAll(file)
		require.NoError(t, err)
		return string(text)
	}
	_, err := f.SettlementFile(t.Context(), "demo", firstDay, "csv")
	require.ErrorIs(t, err, journal.ErrNotFound)
	require.NoError(t, f.RecordSettlement(t.Context(), journal.SettlementProgress{Merchant: "demo", Date: firstDay, State: "posted"}))
	long := strings.Repeat("state,amount\r\n", 3_000_000) // 42 MB that are next to nothing, compressed
	for _, text := range []string{"first", long} {
		require.NoError(t, f.PutSettlementFile(t.Context(), "demo", firstDay, "csv", strings.NewReader(text)))
		require.Equal(t, text, read("csv"))
	}
	require.NoError(t, f.PutSettlementFile(t.Context(), "demo", firstDay, "html", strings.NewReader("")))
	require.Empty(t, read("html"))
	day, err := f.SettlementDay(t.Context(), "demo", firstDay)
	require.NoError(t, err)
	require.Equal(t, []journal.SettlementFileInfo{{Kind: "csv", Size: int64(len(long)), WrittenAt: start}, {Kind: "html", WrittenAt: start}}, day.Files)

	require.ErrorIs(t, f.PutSettlementFile(t.Context(), "demo", firstDay, "csv", io.LimitReader(rand.Reader, journal.MaxSettlementFile+1)), journal.ErrFileTooLarge)
	require.Equal(t, long, read("csv"), "what was there stays")
	broken := io.MultiReader(strings.NewReader("half"), brokenReader{})
	require.ErrorIs(t, f.PutSettlementFile(t.Context(), "demo", firstDay, "csv", broken), io.ErrUnexpectedEOF)
	require.Equal(t, long, read("csv"))

	var content []byte
	require.NoError(t, raw(t, f.dsn).Get(&content, `SELECT content FROM settlement_files WHERE kind = 'csv'`))
	require.False(t, bytes.HasPrefix(content, []byte{0x1f, 0x8b}), "sealed like all that may tell of people")
}

// dryRunsLeaveTheirReport: a day without a record is found by it, and by its record once it has one.
func dryRunsLeaveTheirReport(t *testing.T, f *fixture) {
	checked := func(merchant, date string) []string {
		days, err := f.CheckedDays(t.Context(), merchant, date)
		require.NoError(t, err)
		var list []string
		for _, day := range days {
			require.Equal(t, []any{date, "checked", 2, start}, []any{day.Date, day.State, len(day.Files), day.UpdatedAt})
			list = append(list, day.Merchant)
		}
		return list
	}
	for _, merchant := range []string{"us", "eu"} {
		for _, kind := range []string{"csv", "html"} {
			require.NoError(t, f.PutSettlementFile(t.Context(), merchant, firstDay, kind, strings.NewReader("text")))
		}
	}
	require.Equal(t, []string{"eu", "us"}, checked("", firstDay))
	require.Equal(t, []string{"us"}, checked("us", firstDay))
	require.Empty(t, checked("", secondDay))
	require.NoError(t, f.RecordSettlement(t.Context(), journal.SettlementProgress{Merchant: "us", Date: firstDay, State: "waiting", Run: "r1"}))
	require.Equal(t, []string{"eu"}, checked("", firstDay))
	_, err := f.SettlementDay(t.Context(), "eu", firstDay)
	require.ErrorIs(t, err, journal.ErrNotFound, "no run of it was recorded")
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func posting(sequence int, reference string) journal.Posting {
	return journal.Posting{
		Merchant: "demo", Date: firstDay, Currency: "USD", Sequence: sequence, Number: "J1", Warning: "", PostedAt: start,
		Entry: &canonical.JournalEntry{Reference: reference, Date: firstDay, Currency: "USD", Lines: []canonical.JournalLine{
			{Account: "1050", Debit: dec("10.10")}, {Account: "1200", Credit: dec("10.10")},
		}},
	}
}

// requireSame compares what holds amounts, of which the same one has several forms.
func requireSame(t *testing.T, want, got any) {
	t.Helper()
	wantText, err := json.Marshal(want)
	require.NoError(t, err)
	gotText, err := json.Marshal(got)
	require.NoError(t, err)
	require.JSONEq(t, string(wantText), string(gotText))
}

func postingsAreKeptOnce(t *testing.T, f *fixture) {
	for range 2 {
		require.NoError(t, f.RecordPosting(t.Context(), posting(0, "CYB20261120USD")))
		require.NoError(t, f.RecordPosting(t.Context(), posting(1, "CYB20261120USD-1")))
	}
	list, err := f.Postings(t.Context(), "demo", firstDay)
	require.NoError(t, err)
	requireSame(t, []journal.Posting{posting(0, "CYB20261120USD"), posting(1, "CYB20261120USD-1")}, list)

	other := posting(0, "CYB20261120USD")
	other.Entry.Lines[0].Debit = dec("10.11")
	require.ErrorIs(t, f.RecordPosting(t.Context(), other), journal.ErrPostingDiffers)
	require.ErrorIs(t, f.RecordPosting(t.Context(), posting(0, "ANOTHER")), journal.ErrPostingDiffers)
	require.ErrorIs(t, f.RecordPosting(t.Context(), posting(2, "CYB20261120USD")), journal.ErrPostingDiffers, "no two postings share a reference")

	// The journal first, its invoice after a person has mended what kept it.
	invoice := journal.Posting{Merchant: "demo", Date: firstDay, Currency: "USD", Invoice: &journal.PostedInvoice{
		Supplier: "CYBS", Number: "CYBFEE20261120USD", Amount: usd("1.10"), Document: "AP7",
	}}
	require.NoError(t, f.RecordPosting(t.Context(), invoice))
	require.NoError(t, f.RecordPosting(t.Context(), invoice))
	list, err = f.Postings(t.Context(), "demo", firstDay)
	require.NoError(t, err)
	whole := posting(0, "CYB20261120USD")
	whole.Invoice = invoice.Invoice
	requireSame(t, whole, list[0])
	again := invoice
	again.Sequence = 2
	require.ErrorIs(t, f.RecordPosting(t.Context(), again), journal.ErrPostingDiffers)
	empty, err := f.Postings(t.Context(), "demo", secondDay)
	require.NoError(t, err)
	require.Empty(t, empty)
}

func handBookingsAreKept(t *testing.T, f *fixture) {
	by := &settlement.HandBooking{Actor: "fiona", Reason: "the period is closed", Reference: "M-17", At: start}
	byHand := posting(0, "CYB20261120USD")
	byHand.Number, byHand.ByHand = "", by
	for range 2 {
		require.NoError(t, f.RecordPosting(t.Context(), byHand))
	}
	invoice := journal.Posting{Merchant: "demo", Date: firstDay, Currency: "USD", PostedAt: start, Invoice: &journal.PostedInvoice{
		Supplier: "CYBS", Number: "CYBFEE20261120USD", Amount: usd("1.10"), ByHand: by,
	}}
	require.NoError(t, f.RecordPosting(t.Context(), invoice))
	whole := byHand
	whole.Invoice = invoice.Invoice
	list, err := f.Postings(t.Context(), "demo", firstDay)
	require.NoError(t, err)
	requireSame(t, []journal.Posting{whole}, list)

	// Who is late changes nothing: what is booked stays as it was told first.
	late := posting(0, "CYB20261120USD")
	require.NoError(t, f.RecordPosting(t.Context(), late))
	list, err = f.Postings(t.Context(), "demo", firstDay)
	require.NoError(t, err)
	requireSame(t, []journal.Posting{whole}, list)

	card := posting(1, "CYB20261120USD-1")
	card.ByHand = &settlement.HandBooking{Actor: "fiona", Reason: "of card 4111111111111111", At: start}
	require.NoError(t, f.RecordPosting(t.Context(), card))
	list, err = f.Postings(t.Context(), "demo", firstDay)
	require.NoError(t, err)
	require.NotContains(t, list[1].ByHand.Reason, "4111111111111111")
}

func figuresAreKept(t *testing.T, f *fixture) {
	figures := func(date, amount string) settlement.DayFigures {
		return settlement.DayFigures{Date: date, Currency: "USD", Sales: settlement.Sum{Count: 1, Amount: dec(amount)}}
	}
	require.NoError(t, f.PutDayFigures(t.Context(), "demo", figures("2026-11-19", "5"), figures("2026-11-18", "4"), figures(firstDay, "6")))
	require.NoError(t, f.PutDayFigures(t.Context(), "demo", figures("2026-11-19", "5.5")))
	require.NoError(t, f.PutDayFigures(t.Context(), "other", figures("2026-11-19", "9")))
	got, err := f.DayFigures(t.Context(), "demo", "USD", "2026-11-01", firstDay)
	require.NoError(t, err)
	requireSame(t, []settlement.DayFigures{figures("2026-11-18", "4"), figures("2026-11-19", "5.5")}, got)
	got, err = f.DayFigures(t.Context(), "demo", "EUR", "2026-11-01", firstDay)
	require.NoError(t, err)
	require.Empty(t, got)
}

// whoGetsMuchBackIsFound: the customers and tokens with the most refunds of a settled day, by references that tell nobody.
func whoGetsMuchBackIsFound(t *testing.T, f *fixture) {
	for i, customer := range []string{"C-1", "C-1", "C-2"} {
		id := fmt.Sprint("WEB-", i)
		record := newOrder(id)
		record.Input = []byte(`{"customer":{"id":"` + customer + `"}}`)
		_, _, err := f.TakeOrder(t.Context(), record)
		require.NoError(t, err)
		perform(t, f, journal.EffectSale, paymentOp(id, "sale", "10.00"), "s"+id, journal.PaymentChange{CustomerToken: "tok"})
		for n := range 2 {
			op := paymentOp(id, fmt.Sprint("refund-", n), "1.25")
			perform(t, f, journal.EffectRefund, op, fmt.Sprint("r", i, n), journal.PaymentChange{})
			if n == 0 {
				settle(t, f, firstDay, markOf(op, ""))
			}
		}
	}
	most, err := f.MostRefunded(t.Context(), firstDay, "USD", 1)
	require.NoError(t, err)
	require.Len(t, most, 2)
	require.Equal(t, 2, most[0].Sum.Count)
	requireAmount(t, "2.50", most[0].Sum.Amount)
	require.True(t, strings.HasPrefix(most[0].Who, "customer "))
	require.NotContains(t, most[0].Who, "C-1")
	require.Equal(t, "token tok", most[1].Who)
	require.Equal(t, 3, most[1].Sum.Count)
	requireAmount(t, "3.75", most[1].Sum.Amount)
	none, err := f.MostRefunded(t.Context(), secondDay, "USD", 5)
	require.NoError(t, err)
	require.Empty(t, none)
}

func dispute(caseID, orderID, amount string) journal.ChargebackRecord {
	return journal.ChargebackRecord{
		CaseID: caseID, OrderID: orderID, TransactionID: "c1", Amount: usd(amount), Fee: usd("15.00"), Reason: "10.4",
		OpenedAt: start, RespondBy: start.Add(240 * time.Hour),
	}
}

// disputesGoOnAfterTheirEnd: a further cycle has an outcome of its own, and moves the payment again; what is told of a former one does not.
func disputesGoOnAfterTheirEnd(t *testing.T, f *fixture) {
	op := paid(t, f, "WEB-1", "48.19", "c1")
	settle(t, f, firstDay, markOf(op, "1"))
	told := 0
	record := func(cycle int, outcome journal.ChargebackOutcome, ended time.Time) journal.ChargebackRecord {
		t.Helper()
		told++
		d := dispute("case-1", "WEB-1", "20.00")
		d.Cycle, d.Outcome, d.EndedAt = cycle, outcome, ended
		require.NoError(t, f.RecordChargeback(t.Context(), d, journal.ChargebackNote{Key: fmt.Sprint(told), Note: "told", At: start}, &journal.Progress{Seq: int64(told)}, nil))
		stored, err := f.Chargeback(t.Context(), "case-1")
		require.NoError(t, err)
		return stored
	}
	for _, step := range []struct {
		cycle       int
		outcome     journal.ChargebackOutcome
		stands      int
		as          journal.ChargebackOutcome
		chargedBack string
	}{
		{0, "", 1, "", "20"}, {1, "won", 1, "won", "0"}, {1, "lost", 1, "won", "0"}, {2, "", 2, "", "20"}, {1, "won", 2, "", "20"},
		{2, "lost", 2, "lost", "20"}, {2, "won", 2, "lost", "20"}, {3, "won", 3, "won", "0"}, {2, "lost", 3, "won", "0"},
	} {
		ended := time.Time{}
		if step.outcome != "" {
			ended = start.Add(time.Duration(told) * time.Hour)
		}
		before, _ := f.Chargeback(t.Context(), "case-1")
		stored := record(step.cycle, step.outcome, ended)
		require.Equal(t, []any{step.stands, step.as}, []any{stored.Cycle, stored.Outcome}, "%+v", step)
		if stored.Cycle == before.Cycle && stored.Outcome == before.Outcome {
			require.Equal(t, before.EndedAt, stored.EndedAt, "%+v", step)
		} else {
			require.Equal(t, ended, stored.EndedAt, "%+v", step)
		}
		requireAmount(t, step.chargedBack, payment(t, f, "WEB-1").ChargedBack)
	}
}

// disputesMoveThePayment: what is disputed or lost can't be refunded, what is won can again; each key counts once.
func disputesMoveThePayment(t *testing.T, f *fixture) {
	op := paid(t, f, "WEB-1", "48.19", "c1")
	settle(t, f, firstDay, markOf(op, "1"))
	record := func(key, note string, d journal.ChargebackRecord) {
		t.Helper()
		for range 2 { // told twice
			require.NoError(t, f.RecordChargeback(t.Context(), d, journal.ChargebackNote{Key: key, Note: note, Actor: "fiona", At: start},
				&journal.Progress{Seq: 1, Events: []journal.Event{{Key: key, Kind: "chargeback", Summary: note}}},
				&journal.Action{Actor: "fiona", Action: note}, notice("notice-"+key)))
		}
	}
	requireMoney := func(status canonical.PaymentStatus, chargedBack, refundable string) {
		t.Helper()
		p := payment(t, f, "WEB-1")
		require.Equal(t, status, p.Status)
		require.Equal(t, status, order(t, f, "WEB-1").PaymentStatus)
		requireAmount(t, chargedBack, p.ChargedBack)
		requireAmount(t, refundable, p.Refundable)
	}
	inquiry := dispute("case-0", "WEB-1", "48.19")
	inquiry.Retrieval = true
	record("0", "opened", inquiry)
	requireMoney(canonical.PaymentSettled, "0", "48.19")

	first, second := dispute("case-1", "WEB-1", "20.00"), dispute("case-2", "WEB-1", "8.19")
	record("1", "opened", first)
	record("2", "opened", second)
	requireMoney(canonical.PaymentChargedBack, "28.19", "20")
	requireRefused(t, f, journal.EffectRefund, paymentOp("WEB-1", "too much", "20.01"), journal.CodeExceedsCaptured)

	first.Outcome = journal.ChargebackWon
	record("3", "won", first)
	requireMoney(canonical.PaymentChargedBack, "8.19", "40")
	first.Outcome = journal.ChargebackLost
	record("4", "lost", first)
	requireMoney(canonical.PaymentChargedBack, "8.19", "40")
	second.Outcome = journal.ChargebackLost
	record("5", "lost", second)
	requireMoney(canonical.PaymentChargedBack, "8.19", "40")

	stored, err := f.Chargeback(t.Context(), "case-1")
	require.NoError(t, err)
	require.Equal(t, journal.ChargebackWon, stored.Outcome, "the first outcome stays")
	require.Equal(t, []string{"opened", "won", "lost"}, []string{stored.Notes[0].Note, stored.Notes[1].Note, stored.Notes[2].Note})
	require.Equal(t, journal.ChargebackNote{Key: "1", At: start, Note: "opened", Actor: "fiona"}, stored.Notes[0])
	stored.Notes = nil
	want := dispute("case-1", "WEB-1", "20.00")
	want.Outcome, want.UpdatedAt, want.Cycle = journal.ChargebackWon, start, 1
	requireSame(t, want, stored)
	require.Equal(t, []string{"0", "1", "2", "3", "4", "5"}, eventKeys(t, f, "WEB-1"))
	require.Len(t, due(t, f, 50), 6, "nobody is told twice")
	audit, err := f.Audit(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Len(t, audit, 6)
}

// wonDisputesGiveTheStatusBack that the payment had, whatever it was.
func wonDisputesGiveTheStatusBack(t *testing.T, f *fixture) {
	for i, test := range []struct {
		refunded string
		settles  bool
		want     canonical.PaymentStatus
	}{
		{"", false, canonical.PaymentCaptured}, {"", true, canonical.PaymentSettled},
		{"1.00", true, canonical.PaymentPartiallyRefunded}, {"10.00", false, canonical.PaymentRefunded},
	} {
		id := fmt.Sprint("WEB-", i)
		op := paid(t, f, id, "10.00", "c"+id)
		if test.refunded != "" {
			perform(t, f, journal.EffectRefund, paymentOp(id, "refund", test.refunded), "r"+id, journal.PaymentChange{})
		}
		if test.settles {
			settle(t, f, firstDay, markOf(op, ""))
		}
		d := dispute("case-"+id, id, "5.00")
		require.NoError(t, f.RecordChargeback(t.Context(), d, journal.ChargebackNote{Key: "1"}, nil, nil))
		require.Equal(t, canonical.PaymentChargedBack, payment(t, f, id).Status)
		d.Outcome = journal.ChargebackWon
		require.NoError(t, f.RecordChargeback(t.Context(), d, journal.ChargebackNote{Key: "2"}, nil, nil))
		require.Equal(t, test.want, payment(t, f, id).Status)
		requireAmount(t, "0", payment(t, f, id).ChargedBack)
	}
}

// disputesOfWhatIsNotOurs are kept for a person; one in another currency leaves nothing to pay back on top of it.
func disputesOfWhatIsNotOurs(t *testing.T, f *fixture) {
	require.NoError(t, f.RecordChargeback(t.Context(), dispute("case-1", "", "9.00"), journal.ChargebackNote{Key: "1"}, nil, nil))
	require.NoError(t, f.RecordChargeback(t.Context(), dispute("case-2", "unknown", "9.00"), journal.ChargebackNote{Key: "1"},
		&journal.Progress{Events: []journal.Event{{Key: "e"}}}, nil))
	negative := dispute("case-3", "", "-9.00")
	require.Error(t, f.RecordChargeback(t.Context(), negative, journal.ChargebackNote{Key: "1"}, nil, nil))
	_, err := f.Chargeback(t.Context(), "case-3")
	require.ErrorIs(t, err, journal.ErrNotFound)

	paid(t, f, "WEB-1", "10.00", "c1")
	foreign := dispute("case-4", "WEB-1", "5.00")
	foreign.Amount.Currency = "EUR"
	require.NoError(t, f.RecordChargeback(t.Context(), foreign, journal.ChargebackNote{Key: "1"}, nil, nil))
	requireAmount(t, "10", payment(t, f, "WEB-1").ChargedBack)
	requireAmount(t, "0", payment(t, f, "WEB-1").Refundable)
}

func disputesAreListed(t *testing.T, f *fixture) {
	for i := range 5 {
		d := dispute(fmt.Sprint("case-", i), "", "1.00")
		d.OpenedAt = start.Add(time.Duration(i) * time.Hour)
		if i%2 == 1 {
			d.OrderID, d.Outcome = "WEB-1", journal.ChargebackLost
		}
		require.NoError(t, f.RecordChargeback(t.Context(), d, journal.ChargebackNote{Key: "1"}, nil, nil))
	}
	list := func(filter journal.ChargebackFilter) string {
		var cases []string
		filter.Limit = 2
		for first := true; first || filter.Cursor != ""; first = false {
			page, next, err := f.Chargebacks(t.Context(), filter)
			require.NoError(t, err)
			for _, one := range page {
				cases = append(cases, one.CaseID[5:])
			}
			filter.Cursor = next
		}
		return strings.Join(cases, " ")
	}
	open := journal.ChargebackOpen
	require.Equal(t, "4 3 2 1 0", list(journal.ChargebackFilter{}))
	require.Equal(t, "4 2 0", list(journal.ChargebackFilter{Outcome: &open}))
	require.Equal(t, "3 1", list(journal.ChargebackFilter{OrderID: "WEB-1"}))
	require.Equal(t, "2 1", list(journal.ChargebackFilter{From: start.Add(time.Hour), To: start.Add(3 * time.Hour)}))
	_, _, err := f.Chargebacks(t.Context(), journal.ChargebackFilter{Cursor: "?"})
	require.ErrorIs(t, err, journal.ErrCursor)
}
