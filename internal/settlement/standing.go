package settlement

// DayState is where a settlement day stands.
type DayState string

// The states.
const (
	DayWaiting  DayState = "waiting"  // for the day's reports
	DayMismatch DayState = "mismatch" // a person decides
	DayApproval DayState = "approval" // finance is to approve
	DayPosting  DayState = "posting"
	DayPosted   DayState = "posted"
	DayEmpty    DayState = "empty"    // the gateway has no rows of that day
	DayUnposted DayState = "unposted" // a person decided to post nothing
	DayChecked  DayState = "checked"  // a dry run
)

// DayStates are all of them, in the order in which a day may go through them.
func DayStates() []DayState {
	return []DayState{DayWaiting, DayMismatch, DayApproval, DayPosting, DayPosted, DayEmpty, DayUnposted, DayChecked}
}

// InProgress tells that a run is at the day, or waits for a person: what it has read may still be posted.
func (s DayState) InProgress() bool {
	switch s {
	case DayWaiting, DayMismatch, DayApproval, DayPosting:
		return true
	default:
		return false
	}
}

// Standing is the state in which a day is shown that a run says is in this one. A run that ends without posting says nothing of the runs
// before it: a day of which something is in the ledger never falls back behind that. While a run is at it, the day shows where that stands.
func (s DayState) Standing(posted bool) DayState {
	switch s {
	case DayEmpty, DayUnposted, DayChecked:
		if posted {
			return DayPosted
		}
		return s
	default: // in progress, or posted
		return s
	}
}
