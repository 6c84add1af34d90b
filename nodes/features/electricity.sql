-- Electricity features, one row per customer, as of the end of the day getvariable('as_of').
--
-- Reads   bills (uscc, month, kwh, amount, issued_on, due_on, paid_on, shutdown_days)
-- Uses    only bills issued by the as-of date; a bill paid after it counts as unpaid.
-- Windows month_age counts months back from the as-of month. A month is billed in the next one, so ages 1 to 12 are
--         the last twelve months and 13 to 24 the twelve before.
WITH known AS (
    SELECT
        uscc,
        date_diff('month', month, getvariable('as_of')) AS month_age,
        kwh,
        shutdown_days,
        -- days late so far: up to the payment, or up to the as-of date while unpaid; nothing is late before it is due
        greatest(date_diff('day', due_on, least(coalesce(paid_on, getvariable('as_of')), getvariable('as_of'))), 0)
            AS late_days
    FROM bills
    WHERE issued_on <= getvariable('as_of')
      AND date_diff('month', month, getvariable('as_of')) BETWEEN 1 AND 24
),

windows AS (
    SELECT
        uscc,
        sum(kwh) FILTER (month_age <= 12) AS kwh_now,
        sum(kwh) FILTER (month_age > 12) AS kwh_before,
        count(kwh) FILTER (month_age <= 12) AS months_now,
        count(kwh) FILTER (month_age > 12) AS months_before,
        avg(kwh) FILTER (month_age <= 12) AS kwh_mean,
        stddev_pop(kwh) FILTER (month_age <= 12) AS kwh_deviation,
        count(kwh) FILTER (month_age <= 6) AS months_6m,
        avg(kwh) FILTER (month_age <= 6) AS kwh_mean_6m,
        regr_slope(kwh, -month_age) FILTER (month_age <= 6) AS kwh_per_month,
        sum(shutdown_days) FILTER (month_age <= 12) AS shutdown_days,
        count(*) FILTER (month_age <= 12 AND late_days > 0) AS late_payment_count,
        max(late_days) FILTER (month_age <= 12) AS late_days_max
    FROM known
    GROUP BY uscc
)

SELECT
    uscc,
    kwh_now AS kwh_12m,
    -- growth on the twelve months before; unknown unless both windows are complete and the earlier one had use
    CASE WHEN months_now = 12 AND months_before = 12
         THEN kwh_now / nullif(kwh_before, 0) - 1 END AS kwh_yoy,
    -- slope of a straight line through six months, per month, as a share of their mean
    CASE WHEN months_6m = 6
         THEN kwh_per_month / nullif(kwh_mean_6m, 0) END AS kwh_trend_6m,
    kwh_deviation / nullif(kwh_mean, 0) AS kwh_cv,
    shutdown_days,
    late_payment_count,
    late_days_max
FROM windows
ORDER BY uscc;
