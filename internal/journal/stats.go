package journal

import (
	"context"
	"fmt"
	"time"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
)

// Stats are the figures for metrics.
type Stats struct {
	Orders         map[canonical.OrderStatus]int64
	OpenAttention  map[fault.Kind]int64
	Inbox          map[InboxState]int64
	OpenOperations map[string]int64 // by system: intent or unknown
	// OldestOperation is, by system, how long ago the oldest of these began.
	OldestOperation map[string]time.Duration
	Unstarted       int64 // orders whose workflow was not started yet
}

// Stats counts in one query.
func (s *Store) Stats(ctx context.Context) (Stats, error) {
	var rows []struct {
		What  string `db:"what"`
		Name  string `db:"name"`
		Count int64  `db:"count"`
	}
	err := s.db.read().list(ctx, &rows, `
		SELECT 'orders' AS what, status AS name, count(*) AS count FROM orders GROUP BY status
		UNION ALL SELECT 'attention', class, count(*) FROM attention WHERE state = 'open' GROUP BY class
		UNION ALL SELECT 'inbox', state, count(*) FROM inbox GROUP BY state
		UNION ALL SELECT 'operations', system, count(*) FROM operations WHERE `+isOpen+` GROUP BY system
		UNION ALL SELECT 'oldest', system, min(created_at) FROM operations WHERE `+isOpen+` GROUP BY system
		UNION ALL SELECT 'unstarted', '', count(*) FROM orders WHERE started_at = 0`)
	if err != nil {
		return Stats{}, fmt.Errorf("read figures: %w", err)
	}
	stats := Stats{
		Orders: map[canonical.OrderStatus]int64{}, OpenAttention: map[fault.Kind]int64{}, Inbox: map[InboxState]int64{},
		OpenOperations: map[string]int64{}, OldestOperation: map[string]time.Duration{},
	}
	for _, row := range rows {
		switch row.What {
		case "orders":
			stats.Orders[canonical.OrderStatus(row.Name)] = row.Count
		case "attention":
			stats.OpenAttention[fault.Kind(row.Name)] = row.Count
		case "inbox":
			stats.Inbox[InboxState(row.Name)] = row.Count
		case "operations":
			stats.OpenOperations[row.Name] = row.Count
		case "oldest":
			stats.OldestOperation[row.Name] = s.clock().Sub(instant(row.Count).time())
		case "unstarted":
			stats.Unstarted = row.Count
		}
	}
	return stats, nil
}
