-- The platform's database on the evening before: not quite what the export says.
create table students (
    idnumber text primary key, name text, email text, username text, grade text, homeroom text,
    house text
);
create table staff (idnumber text primary key, name text, email text, username text, room text);
create table parents (idnumber text primary key, name text, email text, language text);
create table classes (idnumber text primary key, name text, term text, room text, building text);
create table cohorts (idnumber text primary key, name text, kind text);
create table groups (idnumber text primary key, name text, course text, term text);
create table links (list text, owner text, member text, primary key (list, owner, member));

insert into students values
    ('1001', 'Ada Adler', 'aadler@school.example', 'aadler', '1', '101', 'Elm'),
    ('1002', 'Maximilian Adler', 'madler@school.example', 'madler', '1', '101', 'Elm'),
    ('1003', 'Zoe Brown', 'zoe@school.example', 'zoe', '1', '101', 'Oak'),
    ('2001', 'Eva Adler', 'eadler@school.example', 'eadler', '7', '201', 'Elm'),
    ('2002', 'Leo Diaz', 'ldiaz@school.example', 'ldiaz', '7', '201', 'Oak'),
    ('2003', 'Mia Evans', 'mevans@school.example', 'mevans', '8', '202', 'Oak'),
    ('2004', 'Sam Fox', 'sfox@school.example', 'sfox', '8', '202', 'Oak'),
    ('2999', 'Lou Gone', 'lgone@school.example', 'lgone', '8', '202', 'Oak');
insert into staff values
    ('9000', 'The Administrator', 'admin@school.example', 'admin', ''),
    ('9001', 'Ann Ames', 'aames@school.example', 'aames', '101'),
    ('9002', 'Ben Boyd', 'bboyd@school.example', 'bboyd', '101'),
    ('9003', 'Cid Cole', 'ccole@school.example', 'ccole', '201'),
    ('9004', 'Dee Dunn', 'ddunn@school.example', 'ddunn', '202');
insert into parents values
    ('501', 'Family Adler', 'family501@school.example', 'en'),
    ('502', 'Family Braun', 'family502@school.example', 'en'),
    ('504', 'Family Diaz', 'family504@school.example', 'en');
insert into classes values
    ('A1', 'Maths 1', 't1', '101', 'North'),
    ('S7', 'Physics 7', 't1', '101', 'North'),
    ('S8', 'Latin 8', 't1', '202', 'South');
insert into cohorts values ('grade-7', 'Grade 7', 'grade'), ('homeroom-201', 'Room 201', 'homeroom');
insert into groups values ('A1-t1', 'Maths 1', 'Maths', 't1'), ('S8-t1', 'Latin 8', 'Latin', 't1');
insert into links values
    ('students.clubs', '1001', 'chess'),
    ('students.clubs', '1003', 'robots'),
    ('staff.subjects', '9001', 'maths'),
    ('staff.subjects', '9003', 'maths'),
    ('staff.subjects', '9003', 'physics'),
    ('parents.children', '501', '1001'),
    ('parents.children', '501', '1002'),
    ('parents.children', '502', '1003'),
    ('parents.children', '504', '2002'),
    ('classes.teachers', 'A1', '9001'),
    ('classes.teachers', 'S7', '9003'),
    ('classes.teachers', 'S8', '9003'),
    ('classes.students', 'A1', '1001'),
    ('classes.students', 'A1', '1002'),
    ('classes.students', 'S7', '2001'),
    ('classes.students', 'S7', '2002'),
    ('classes.students', 'S8', '2003'),
    ('cohorts.members', 'grade-7', '2001'),
    ('cohorts.members', 'homeroom-201', '2001'),
    ('cohorts.members', 'homeroom-201', '2002'),
    ('cohorts.tutors', 'homeroom-201', '9004'),
    ('groups.members', 'A1-t1', '1001'),
    ('groups.members', 'S8-t1', '2003'),
    ('groups.members', 'S8-t1', '2004');
