//! What goes into a file comes out of it, in as many row groups as its size asks for.

use bytes::Bytes;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

use super::*;

fn record(number: i64) -> String {
    let resources =
        (0..number % 3).map(|n| format!(r#"{{"type":"T{n}","ARN":"arn:{number}:{n}"}}"#));
    let resources = resources.collect::<Vec<_>>().join(",");
    let failed = if number % 2 == 0 {
        ""
    } else {
        r#""errorCode":"AccessDenied","#
    };
    format!(
        r#"{{"eventVersion":"1.11","eventID":"id-{number}","userIdentity":{{"type":"IAMUser","userName":"ü"}},"eventTime":"1970-01-01T00:00:{:02}Z","eventSource":"s","eventName":"N","awsRegion":"r",{failed}"requestParameters":{{"n":{number}}},"responseElements":null,"readOnly":true,"resources":[{resources}]}}"#,
        number % 60
    )
}

fn written(count: i64) -> SerializedFileReader<Bytes> {
    let mut file = EventsFile::begin(Vec::new()).unwrap();
    for number in 1..=count {
        file.push(number, &record(number)).unwrap();
    }
    SerializedFileReader::new(Bytes::from(file.finish().unwrap())).unwrap()
}

#[test]
fn every_event_is_a_row_and_its_record_is_whole() {
    let reader = written(10);
    let mut number = 0;
    for row in reader.get_row_iter(None).unwrap() {
        number += 1;
        let row = row.unwrap();
        let columns: std::collections::HashMap<&String, &Field> = row.get_column_iter().collect();
        let column = |name: &str| columns[&name.to_owned()];
        let text = |text: &str| Field::Str(text.to_owned());
        assert_eq!(*column("sequence_number"), Field::Long(number));
        assert_eq!(*column("event_time"), Field::TimestampMillis(number * 1000));
        assert_eq!(*column("event_id"), text(&format!("id-{number}")));
        assert_eq!(*column("user_name"), text("ü"));
        assert_eq!(*column("record"), text(&record(number)));
        assert_eq!(
            *column("request_parameters"),
            text(&format!(r#"{{"n":{number}}}"#))
        );
        assert_eq!(*column("response_elements"), Field::Null);
        assert_eq!(*column("read_only"), Field::Bool(true));
        assert_eq!(*column("management_event"), Field::Null);
        let failed = number % 2 == 1;
        let code = if failed {
            text("AccessDenied")
        } else {
            Field::Null
        };
        assert_eq!(*column("error_code"), code);
        let Field::ListInternal(arns) = column("resource_arns") else {
            panic!("{row}")
        };
        let expected = (0..number % 3).map(|n| text(&format!("arn:{number}:{n}")));
        assert_eq!(arns.elements(), expected.collect::<Vec<_>>());
    }
    assert_eq!(number, 10);
}

#[test]
fn a_row_group_holds_so_many_events_at_most() {
    let count = i64::try_from(GROUP_EVENTS_MAX).unwrap() + 1;
    let reader = written(count);
    let groups = reader.metadata().row_groups().iter();
    let rows: Vec<i64> = groups.map(|group| group.num_rows()).collect();
    assert_eq!(rows, [count - 1, 1]);
}

#[test]
fn a_file_without_events_is_one_too() {
    assert_eq!(written(0).get_row_iter(None).unwrap().count(), 0);
}

#[test]
fn what_is_no_event_is_refused_by_its_number() {
    let mut file = EventsFile::begin(Vec::new()).unwrap();
    let refused = file.push(7, "{}").unwrap_err().to_string();
    assert_eq!(
        refused,
        "event 7 is not in CloudTrail's form: it has no /eventTime"
    );
    let refused = file.push(8, "[").unwrap_err().to_string();
    assert_eq!(refused, "event 8 cannot be read");
}
