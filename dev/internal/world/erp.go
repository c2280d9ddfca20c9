package world

import "net/http"

// ERP is one of the ERPs that orders are booked in: where its sandbox answers, and how what samples and tests mean is said to it.
type ERP struct {
	Name  string // in settings, feeds and workflow IDs
	Title string // for people
	URL   string // of its sandbox's control surface

	// Mark is how the order IDs and the channels of its samples begin: several ERPs in one run have their own.
	Mark string
	// Statuses are what the letters of its sales orders' status mean.
	Statuses map[string]string
	// Database tells that its tables can be read as they are, and its running totals held against them.
	Database bool
	// InvoicesParcels tells that every parcel is an invoice of its own: what people post there when goods leave is one document.
	InvoicesParcels bool

	Down Fault // nothing can be booked as a sales order
	Slow Fault // the next sales order takes its time
}

// What a sales order's status means, as far as orders of the samples get.
const (
	SalesOrderSuspended = "suspended"
	SalesOrderComplete  = "complete"
	SalesOrderCancelled = "cancelled"
)

// Slowly is long enough, in milliseconds, for people to do something meanwhile, however slow the machine: who did it releases what waits.
const Slowly = 30_000

// Syspro is the SYSPRO whose sandbox answers at an address.
func Syspro(url string) ERP {
	return ERP{
		Name: "syspro", Title: "SYSPRO", URL: url,
		Statuses: map[string]string{"S": SalesOrderSuspended, "9": SalesOrderComplete, `\`: SalesOrderCancelled},
		Down:     Fault{Route: "POST /APIServices/SalesOrderService/**", Mode: "status", Status: http.StatusServiceUnavailable},
		Slow:     Fault{Route: "POST /APIServices/SalesOrderService/AddSalesOrder", Mode: "delay", DelayMs: Slowly, Times: 1},
	}
}

// Sagepro is the Sage Pro whose sandbox answers at an address. It is a database: what is broken is a transaction with a certain statement.
func Sagepro(url string) ERP {
	return ERP{
		Name: "sagepro", Title: "Sage Pro", URL: url, Mark: "sage-",
		Statuses:        map[string]string{"H": SalesOrderSuspended, "C": SalesOrderComplete, "X": SalesOrderCancelled},
		Database:        true,
		InvoicesParcels: true,
		Down:            Fault{Route: "INSERT somast", Mode: "cut"},
		Slow:            Fault{Route: "INSERT somast", Mode: "delay", DelayMs: Slowly, Times: 1},
	}
}

// Means is what a status of a sales order means; one that has no meaning here is as the ERP has it.
func (e ERP) Means(status string) string {
	if meaning, known := e.Statuses[status]; known {
		return meaning
	}
	return status
}

// In is the world as it is seen from another of its ERPs.
func (w *World) In(erp ERP) *World {
	other := *w
	other.ERP = erp
	return &other
}
