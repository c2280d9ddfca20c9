package starter

import (
	"context"
	"fmt"
	"time"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
)

const (
	expiryMargin = 24 * time.Hour // before an authorization counts as run out, somebody is told
	expiryPause  = time.Hour      // between two looks
)

// NoticeAuthorizationExpiring tells that the bank will soon let go of what it holds for goods that have not left.
const NoticeAuthorizationExpiring = "authorization.expiring"

// warnOfExpiry tells operators, once per order, of confirmed orders whose goods have not left while their authorization is about to run
// out: the capture of a parcel that leaves later would be refused. It looks once in a while, at the payments that come of age.
func (s *Starter) warnOfExpiry(ctx context.Context) error {
	now := s.clock()
	if !s.expiryDue(now) {
		return nil
	}
	for _, life := range s.settings.AuthorizationLives() {
		filter := journal.PaymentFilter{From: now.Add(-life), To: now.Add(expiryMargin - life), Limit: 500}
		for more := life > expiryMargin; more; more = filter.Cursor != "" {
			page, next, err := s.store.Payments(ctx, filter)
			if err != nil {
				return err
			}
			for _, payment := range page {
				if err := s.warn(ctx, payment, life); err != nil {
					return err
				}
			}
			filter.Cursor = next
		}
	}
	return nil
}

// expiryDue tells whether it is time to look again.
func (s *Starter) expiryDue(now time.Time) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if now.Sub(s.lookedAt) < expiryPause {
		return false
	}
	s.lookedAt = now
	return true
}

// warn tells of one payment, where something of it is still to be captured.
func (s *Starter) warn(ctx context.Context, payment journal.Payment, life time.Duration) error {
	if !payment.Capturable.IsPositive() {
		return nil
	}
	record, order, err := s.orderOf(ctx, payment.OrderID)
	if Is(err, NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	channel, known := s.settings.Channel(record.Channel)
	waits := order.Payment.Capture == canonical.CaptureOnShipment && record.Status.Final() && kept(record.Status)
	if !known || !waits || channel.Policy.AuthorizationLife != life {
		return nil
	}
	left := canonical.NewMoney(payment.Capturable, payment.Currency)
	return s.store.AddNotices(ctx, journal.Notice{
		ID: NoticeAuthorizationExpiring + "/" + payment.OrderID + "/" + payment.AuthorizationID, Audience: journal.AudienceOperator,
		Kind: NoticeAuthorizationExpiring, Group: NoticeAuthorizationExpiring, OrderID: payment.OrderID,
		Subject: "Authorization of order " + payment.OrderID + " is about to run out",
		Text: fmt.Sprintf("%s of order %s is authorized and not captured; the goods have not left, and the authorization counts as run out %s after %s. "+
			"Ship, or ask the buyer for another payment", left, payment.OrderID, life, payment.CreatedAt.UTC().Format(time.RFC3339)),
		Link: "/v1/orders/" + payment.OrderID, At: s.clock(),
	})
}
