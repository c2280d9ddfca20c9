package syspro

import (
	"strings"

	"github.com/tenderline/tenderline/internal/erp"
)

// The paths of the facade, below /APIServices.
const (
	pathToken             = "/AuthService/Token" //nolint:gosec // a path, no secret
	pathPing              = "/HealthService/Ping"
	pathPeriodStatus      = "/GLJournalService/GetPeriodStatus"
	pathGetCustomer       = "/CustomerService/GetCustomer"
	pathAddCustomer       = "/CustomerService/AddCustomer"
	pathStock             = "/InventoryService/GetStockBalance"
	pathGetSalesOrder     = "/SalesOrderService/GetSalesOrder"
	pathAddSalesOrder     = "/SalesOrderService/AddSalesOrder"
	pathUpdateSalesOrder  = "/SalesOrderService/UpdateSalesOrder"
	pathGetInvoice        = "/ARInvoiceService/GetARInvoice"
	pathAddInvoice        = "/ARInvoiceService/AddARInvoice"
	pathGetPayment        = "/ARPaymentService/GetARPayment"
	pathAddPayment        = "/ARPaymentService/AddARPayment"
	pathPaymentStatus     = "/ARPaymentService/UpdatePaymentStatus"
	pathListCreditMemos   = "/CreditMemoService/ListCreditMemos"
	pathAddCreditMemo     = "/CreditMemoService/AddCreditMemo"
	pathAcknowledge       = "/CreditMemoService/AcknowledgeCreditMemo"
	pathListShipments     = "/ShipmentService/GetShipments"
	pathListSalesOrders   = "/SalesOrderService/ListSalesOrders"
	pathGetJournal        = "/GLJournalService/GetJournalEntry"
	pathAddJournal        = "/GLJournalService/AddJournalEntry"
	pathGetAPInvoice      = "/APInvoiceService/GetAPInvoice"
	pathAddAPInvoice      = "/APInvoiceService/AddAPInvoice"
	maxStockCodes         = 50 // per GetStockBalance
	paymentTypeReversal   = "Reversal"
	paymentTypeRefund     = "Refund"
	paymentTypeApply      = "Apply"
	actionSetStatus       = "SetStatus"
	actionRelease         = "Release"
	actionCancel          = "Cancel"
	actionSetTracking     = "SetTracking"
	currentPostingPeriod  = "C"
	creditStatusHeld      = "9" // a customer put on hold by hand
	creditCheckTerms      = "T" // CreditCheckFlag: terms only, no limit
	creditCheckLimit      = "L"
	creditCheckLimitTerms = "B"
	creditCheckNone       = "N"
)

// OrderStatus is SYSPRO's status of a sales order.
type OrderStatus string

// The statuses of a sales order. 6 and 7 exist for variants of dispatch and transfer and are passed on as they come.
const (
	StatusInProcess          OrderStatus = "0"
	StatusOpen               OrderStatus = "1"
	StatusOpenBackOrder      OrderStatus = "2"
	StatusReleasedBackOrder  OrderStatus = "3"
	StatusInWarehouse        OrderStatus = "4" // delivery note printed
	StatusReadyToInvoice     OrderStatus = "8"
	StatusComplete           OrderStatus = "9"
	StatusForward            OrderStatus = "F"
	StatusSuspense           OrderStatus = "S"
	StatusCancelledAtEntry   OrderStatus = "*"
	StatusCancelledAfterward OrderStatus = `\`
)

// Cancelled tells whether nothing will come of the order any more.
func (s OrderStatus) Cancelled() bool {
	return s == StatusCancelledAtEntry || s == StatusCancelledAfterward
}

// means tells what a status says to a process. Codes that are not known stand for an order on its way, as 6 and 7 do.
func (s OrderStatus) means(onHold bool) erp.OrderState {
	switch {
	case s.Cancelled():
		return erp.OrderCancelled
	case s == StatusComplete:
		return erp.OrderComplete
	case s == StatusSuspense || onHold:
		return erp.OrderHeld
	case s == StatusReadyToInvoice:
		return erp.OrderReady
	default:
		return erp.OrderOpen
	}
}

// holds tells whether an order of this status is already what the process asks for. Back orders are open: stock decides about them,
// not we.
func (s OrderStatus) holds(state erp.SalesOrderState) bool {
	switch state {
	case erp.SalesOrderOpen:
		return s == StatusOpen || s == StatusOpenBackOrder || s == StatusReleasedBackOrder
	case erp.SalesOrderReady:
		return s == StatusReadyToInvoice
	case erp.SalesOrderHold:
		return s == StatusSuspense
	default:
		return false
	}
}

// statusOf gives the status that a state asks for, "" for a state that does not exist.
func statusOf(state erp.SalesOrderState) OrderStatus {
	switch state {
	case erp.SalesOrderOpen:
		return StatusOpen
	case erp.SalesOrderReady:
		return StatusReadyToInvoice
	case erp.SalesOrderHold:
		return StatusSuspense
	default:
		return ""
	}
}

// sameKey compares keys as SYSPRO does: blanks around them and case do not count, nor do leading zeros where all are digits.
func sameKey(a, b string) bool { return foldKey(a) == foldKey(b) }

// sameReference compares what we named ourselves (order number, payment and journal reference): "1" and "001", "a" and "A" are different
// orders of ours, whatever the ERP thinks of them.
func sameReference(a, b string) bool { return strings.TrimSpace(a) == strings.TrimSpace(b) }

func foldKey(key string) string {
	key = strings.ToUpper(strings.TrimSpace(key))
	if key != "" && strings.Trim(key, "0123456789") == "" {
		return strings.TrimLeft(key[:len(key)-1], "0") + key[len(key)-1:]
	}
	return key
}
