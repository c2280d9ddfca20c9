package syspro

import (
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

const memoRow = `{"CreditMemoNumber":"C00012","CustomerCode":"CUST0042","SalesOrder":"015562","OrderNumber":"WEB-100045","OriginalInvoice":"200069",
 "CreditDate":"2026-08-02","Amount":53.00,"TaxAmount":3.05,"Currency":"USD","Reason":"RETURN","Reference":"","OriginalTransactionId":"7031234567890123",
 "RefundStatus":"Pending","RefundTransactionId":"","LastModified":"2026-08-02T10:00:00Z"}`

func TestACreditMemoAsTheFacadeListsIt(t *testing.T) {
	f := newFacade(t, map[string][]reply{pathListCreditMemos: ok(`{"Status":"Success","CreditMemos":[` + memoRow + `],"NextCursor":"bmV4dA","HasMore":true}`)})
	since := time.Date(2026, 8, 2, 9, 0, 0, 0, time.UTC)
	page, err := f.client(t).ListCreditMemos(t.Context(), erp.ChangeQuery{Since: since, Cursor: "Zm9ybWVy", Limit: 7, Pending: true})
	require.NoError(t, err)
	require.Equal(t, erp.ChangePage[erp.CreditMemo]{Next: "bmV4dA", Rows: []erp.Changed[erp.CreditMemo]{{
		At: time.Date(2026, 8, 2, 10, 0, 0, 0, time.UTC),
		Document: erp.CreditMemo{
			Number: "C00012", CustomerCode: "CUST0042", SalesOrder: "015562", OrderNumber: "WEB-100045", Invoice: "200069",
			Amount: decimal.RequireFromString("53.00"), Tax: decimal.RequireFromString("3.05"), Currency: "USD", Reason: "RETURN",
			TransactionID: "7031234567890123", RefundStatus: erp.RefundPending,
		},
	}}}, page)
	require.Equal(t, "ChangedSince=2026-08-02T09%3A00%3A00Z&Cursor=Zm9ybWVy&Limit=7&Unprocessed=true", f.calls(pathListCreditMemos)[0].query)
}

func TestListsThatCantBeTrusted(t *testing.T) {
	list := func(rows, rest string) string { return `{"Status":"Success","CreditMemos":[` + rows + `]` + rest + `}` }
	cases := map[string]struct {
		body string
		kind fault.Kind
	}{
		"more, without a cursor":    {list(memoRow, `,"HasMore":true,"NextCursor":""`), fault.Bug},
		"a cursor that stays":       {list(memoRow, `,"HasMore":true,"NextCursor":"c1"`), fault.Bug},
		"a row that never changed":  {list(strings.Replace(memoRow, `,"LastModified":"2026-08-02T10:00:00Z"`, "", 1), ""), fault.Bug},
		"a row without a number":    {list(strings.Replace(memoRow, "C00012", " ", 1), ""), fault.Bug},
		"a time that is none":       {list(strings.Replace(memoRow, "2026-08-02T10:00:00Z", "yesterday", 1), ""), fault.Bug},
		"an answer that breaks off": {`{"Status":"Success","CreditMemos":[`, fault.Connection},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFacade(t, map[string][]reply{pathListCreditMemos: ok(tc.body)})
			_, err := f.client(t).ListCreditMemos(t.Context(), erp.ChangeQuery{Cursor: "c1"})
			require.Error(t, err)
			require.Equal(t, tc.kind, fault.As(err).Kind, "%v", err)
		})
	}
}

// TestADispatchNoteThatWasCancelledIsNoShipment: its goods have not left, whatever it lists.
func TestADispatchNoteThatWasCancelledIsNoShipment(t *testing.T) {
	f := newFacade(t, map[string][]reply{pathListShipments: ok(`{"Status":"Success","HasMore":false,"Shipments":[
	 {"ShipmentNumber":"2","ShipmentStatus":"7","OrderNumber":"WEB-1","LastModified":"2026-07-30T15:02:12Z"},
	 {"ShipmentNumber":"1","ShipmentStatus":"*","OrderNumber":"WEB-1","LastModified":"2026-07-30T15:02:11Z"}]}`)})
	page, err := f.client(t).ListShipments(t.Context(), erp.ChangeQuery{})
	require.NoError(t, err)
	require.Len(t, page.Rows, 1)
	require.Equal(t, "2", page.Rows[0].Document.Number)
	require.Empty(t, page.Next)
}

func TestWhatAnOrderStatusMeans(t *testing.T) {
	for status, want := range map[OrderStatus]erp.OrderState{
		StatusInProcess: erp.OrderOpen, StatusOpen: erp.OrderOpen, StatusOpenBackOrder: erp.OrderOpen, StatusReleasedBackOrder: erp.OrderOpen,
		StatusInWarehouse: erp.OrderOpen, StatusForward: erp.OrderOpen, "6": erp.OrderOpen, StatusReadyToInvoice: erp.OrderReady,
		StatusComplete: erp.OrderComplete, StatusSuspense: erp.OrderHeld, StatusCancelledAtEntry: erp.OrderCancelled, StatusCancelledAfterward: erp.OrderCancelled,
	} {
		require.Equal(t, want, status.means(false), "%s", status)
	}
	require.Equal(t, erp.OrderHeld, StatusOpen.means(true))
	require.Equal(t, erp.OrderCancelled, StatusCancelledAfterward.means(true), "nothing is held of a cancelled order")
}

// TestADepositThatTheFacadeSaysLittleOf is taken for whole: the ERP refuses what passes the rest. One that was reversed gives nothing.
func TestADepositThatTheFacadeSaysLittleOf(t *testing.T) {
	for body, want := range map[string]string{
		`"Amount":115.39,"Currency":"USD"`:                                          "115.39",
		`"Amount":115.39,"Currency":"USD","UnappliedAmount":15.39`:                  "15.39",
		`"Amount":115.39,"Currency":"USD","UnappliedAmount":0`:                      "0",
		`"Amount":115.39,"Currency":"USD","UnappliedAmount":115.39,"Reversed":true`: "0",
	} {
		f := newFacade(t, map[string][]reply{pathGetPayment: ok(`{"Status":"Success","PaymentReference":"P1",` + body + `}`)})
		deposit, err := f.client(t).FindDeposit(t.Context(), "P1")
		require.NoError(t, err)
		require.Equal(t, want, deposit.Unapplied.String(), body)
	}
}

func TestALongFailureIsShortened(t *testing.T) {
	f := newFacade(t, map[string][]reply{pathAcknowledge: ok(`{"Status":"Success","Changed":true}`)})
	require.NoError(t, f.client(t).AcknowledgeCreditMemo(t.Context(), "k", erp.Acknowledgement{Number: "C1", Failure: strings.Repeat("é", 300)}))
	require.Contains(t, f.calls(pathAcknowledge)[0].body, `"FailureReason":"`+strings.Repeat("é", 254)+`…"`)
}
