package cybersource

import (
	"net/http"
	"time"
)

// object is a JSON object of a reply.
type object = map[string]any

// detail names one field that is missing or wrong.
type detail struct {
	Field  string `json:"field"`
	Reason string `json:"reason"` // MISSING_FIELD or INVALID_DATA
}

// refusal is a request that was refused before it was processed (HTTP 400), or that failed (502).
type refusal struct {
	http    int
	status  string
	reason  string
	message string
	details []detail
}

// refuse is the usual HTTP 400.
func refuse(reason string, fields ...detail) *refusal {
	return &refusal{http: http.StatusBadRequest, status: "INVALID_REQUEST", reason: reason, message: refusalMessages[reason], details: fields}
}

// invalid refuses one field's value.
func invalid(field string) *refusal {
	return refuse("INVALID_DATA", detail{Field: field, Reason: "INVALID_DATA"})
}

// missing refuses for one field that is not there.
func missing(field string) *refusal {
	return refuse("MISSING_FIELD", detail{Field: field, Reason: "MISSING_FIELD"})
}

// failure is a HTTP 502: the outcome is unknown to the caller.
func failure(reason string) *refusal {
	return &refusal{http: http.StatusBadGateway, status: "SERVER_ERROR", reason: reason, message: refusalMessages[reason]}
}

// notFound is the answer of the reading services.
func notFound(message string) *refusal {
	return &refusal{http: http.StatusNotFound, status: "NOT_FOUND", reason: "NOT_FOUND", message: message}
}

func (f *refusal) reply(now time.Time) reply {
	body := object{"submitTimeUtc": utc(now), "status": f.status, "reason": f.reason, "message": f.message}
	if len(f.details) > 0 {
		body["details"] = f.details
	}
	return reply{status: f.http, body: body}
}

// utc writes a time the way submitTimeUtc does.
func utc(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
