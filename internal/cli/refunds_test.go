package cli

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/starter"
	"github.com/tenderline/tenderline/workflows"
)

func TestShopsRefund(t *testing.T) {
	a := newAPI(t)
	got := execute(t, a.as(shopKey), "", "refund", "create", "WEB-10001", "R-1", "--line", "1=1", "--shipping", "2.50", "--restock", "--reason", "returned")
	require.Equal(t, ran{code: ExitOK, stdout: `REFUND       R-1
ORDER        WEB-10001
STATUS       paying_back
AMOUNT       24.10 USD
OF IT        goods 19.95, tax 1.65, shipping 2.50
WAY          refund
RESTOCK      yes
REASON       returned
ASKED BY     web-shop (shop)
TRANSACTION  7031234567890123456703
CREDIT MEMO  300021
CREATED      2026-11-20 15:03:22Z
UPDATED      2026-11-20 15:04:22Z

Lines
LINE  SKU   QUANTITY  NET    TAX
1     A100  1         19.95  1.65
`}, got)
	shipping := decimal.RequireFromString("2.50")
	require.Equal(t, []starter.RefundRequest{{
		RefundID: "R-1", Wish: canonical.RefundWish{Lines: []canonical.RefundLine{{Line: 1, Quantity: decimal.RequireFromString("1")}}, Shipping: &shipping},
		Restock: true, Reason: "returned", Actor: "web-shop", Origin: workflows.OriginShop,
	}}, a.refunds)
}

func TestARefundIsWaitedFor(t *testing.T) {
	a := newAPI(t)
	got := execute(t, a.as(operatorKey), "", "refund", "create", "WEB-10001", "R-1", "--amount", "24.10", "--wait", "3s", "-o", "json")
	require.Equal(t, ExitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, `"status": "completed"`)
	require.Equal(t, workflows.OriginOperator, a.refunds[0].Origin)
	require.Equal(t, "24.1", a.refunds[0].Wish.Amount.String())
}

func TestRefundsAreShown(t *testing.T) {
	a := newAPI(t)
	list := `REFUND  STATUS     AMOUNT     WAY     CREDIT MEMO  CREATED               BY        WHY
R-1     completed  24.10 USD  refund  300021       2026-11-20 15:03:22Z  web-shop
`
	require.Equal(t, ran{code: ExitOK, stdout: list}, execute(t, a.as(shopKey), "", "refund", "list", "WEB-10001"))
	require.Contains(t, execute(t, a.as(shopKey), "", "refund", "show", "WEB-10001", "R-7").stdout, "REFUND       R-7\n")
	require.Contains(t, execute(t, a.as(operatorKey), "", "order", "status", "WEB-10001").stdout, "\nRefunds\n"+list)
	require.Equal(t, ExitRefused, execute(t, a.as(shopKey), "", "refund", "show", "WEB-10004", "R-1").code)
}

func TestTheAuditIsReadInOrder(t *testing.T) {
	a := newAPI(t)
	got := execute(t, a.as(operatorKey), "", "audit", "WEB-10001")
	require.Equal(t, ran{code: ExitOK, stdout: `AT                    KIND    BY        WHAT                                                 WHY OR KEY
2026-11-20 14:03:22Z  event   web-shop  order taken
2026-11-20 14:03:23Z  call    -         POST /pts/v2/payments at cybersource: 201 in 312 ms  order:WEB-10001:authorize:1
2026-11-20 14:03:24Z  action  ann       fraud.decision by ann: decision accept, source api   known customer
2026-11-20 14:03:25Z  event   -         payment captured[31m
`}, got)
	require.Contains(t, execute(t, a.as(operatorKey), "", "audit", "WEB-10001", "--json").stdout, `"correlationId": "c-1"`)
	require.Equal(t, ExitRefused, execute(t, a.as(shopKey), "", "audit", "WEB-10001").code)
}
